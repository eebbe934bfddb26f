"""The figures of Slurm in words: printed, and written to bench/RESULTS-slurm.md."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path

from ..report import LEAST_ROUNDS
from ..rounds import Figures
from ..wording import machine, percentile, spread, table, verdict, warning

RESULTS = Path(__file__).parents[1] / "RESULTS-slurm.md"
SIDES = {"stock": "stock batchspawner", "ours": "VISA"}
#: How many times less than stock watching many sessions has to cost, and how many times more than few.
LEAST_TIMES, MOST_GROWTH = 500, 4
FEW, MANY = 10, 1000
#: Of stock's time from POST to ready, and seconds until the port is known over the job's own start.
START_SHARE, MOST_OVERHEAD = 0.6, 0.3
#: The values without which there is no whole report.
PARTS = (f"watch {MANY}", "start", "crowd", "full")
WATCH = {
    "hub": "the hub and the commands it runs",
    "controller": "the controller",
    "watch": "**together**",
}


def _spread(values: list[float]) -> str:
    return spread(values) if statistics.median(values) >= 1 else spread(values, " ms", 1000)


def times_less(figures: Figures, count: int) -> float:
    """How many times more CPU stock takes than ours to watch so many sessions, by the medians."""
    values = figures.values[f"watch {count}"]
    return statistics.median(values["stock"]) / statistics.median(values["ours"])


def growth(figures: Figures) -> float:
    """How many times more CPU ours takes for many sessions than for few."""
    many, few = (figures.values[f"watch {count}"]["ours"] for count in (MANY, FEW))
    return statistics.median(many) / statistics.median(few)


def rounds_of(figures: Figures) -> int:
    """How many rounds each figure has at least."""
    return min((len(values) for sides in figures.values.values() for values in sides.values()), default=0)


def complete(figures: Figures) -> bool:
    """Whether there is enough to be written down: every part, and enough rounds of each."""
    return rounds_of(figures) >= LEAST_ROUNDS and all(part in figures.values for part in PARTS)


def start_share(figures: Figures) -> float:
    """Of stock's time from POST to ready, how much ours takes."""
    values = figures.values["start"]
    return statistics.median(values["ours"]) / statistics.median(values["stock"])


def overhead(figures: Figures) -> float:
    """Seconds from asking for the job to knowing its port, over the job's own start."""
    known, alone = (figures.values[name]["ours"] for name in ("port known", "job alone"))
    return statistics.median(known) - statistics.median(alone)


def report(figures: Figures, load: float) -> str:
    """The whole report; `load` is what the machine did besides, before anything was started."""
    parts = [
        "# Slurm\n",
        f"Taken {datetime.now(UTC):%Y-%m-%d} on {machine()}; load before the start {load:.1f}. Medians of"
        f" {rounds_of(figures)} rounds, the sides in turn, with the lowest and highest in brackets."
        " `python -m bench.slurm` takes them again; README.md says what exactly is measured.\n",
    ]
    parts += warning(load)
    if f"watch {MANY}" in figures.values:
        parts += watching(figures)
    if "start" in figures.values:
        parts += starting(figures)
    if "crowd" in figures.values:
        parts += crowding(figures)
    if "full" in figures.values:
        parts += seats(figures)
    return "\n".join(parts)


def watching(figures: Figures) -> list[str]:
    """What it costs to watch sessions."""
    less, more = times_less(figures, MANY), growth(figures)
    rows = [
        [
            f"{MANY:,} sessions, CPU of a round, stock's over ours",
            f"**{less:.0f}**",
            f"at least {LEAST_TIMES}",
            verdict(less >= LEAST_TIMES),
        ],
        [
            f"ours, {MANY:,} sessions over {FEW}",
            f"**{more:.1f}**",
            f"at most {MOST_GROWTH}",
            verdict(more <= MOST_GROWTH),
        ],
    ]
    details = [
        [
            f"{count:,} sessions, {words}",
            *(_spread(figures.values[f"{what} {count}"][side]) for side in SIDES),
        ]
        for count in (FEW, MANY)
        for what, words in WATCH.items()
    ]
    return [
        "## Watching sessions\n",
        table(["figure", "ratio", "to reach", ""], rows),
        table(["CPU of one round", *SIDES.values()], details),
    ]


def starting(figures: Figures) -> list[str]:
    """One session on an idle partition."""
    share, over = start_share(figures), overhead(figures)
    rows = [
        [
            "POST to ready, ours over stock's",
            f"**{share:.2f}**",
            f"at most {START_SHARE}",
            verdict(share <= START_SHARE),
        ],
        [
            "submission to the port being known, over the job's own start",
            f"**{over:.2f} s**",
            f"at most {MOST_OVERHEAD} s",
            verdict(over <= MOST_OVERHEAD),
        ],
    ]
    values = figures.values
    details = [["POST to ready", *(_spread(values["start"][side]) for side in SIDES)]]
    details += [
        [words, "", _spread(values[name]["ours"])]
        for name, words in (
            ("submission", "of that: the launcher, until the job's id is known"),
            ("port known", "from asking the launcher to the port being known"),
            ("job alone", "the same job without a hub, from `sbatch` to its listening"),
        )
    ]
    return [
        "## One start on an idle partition\n",
        table(["figure", "", "to reach", ""], rows),
        table(["", *SIDES.values()], details),
    ]


def crowding(figures: Figures) -> list[str]:
    """Many starts at once."""
    values = figures.values["crowd"]
    rows = [
        [words, *(f"{take(values[side]):.1f} s" for side in SIDES)]
        for words, take in (
            ("median", statistics.median),
            ("95th percentile", lambda every: percentile(every, 0.95)),
            ("the last", max),
        )
    ]
    steps = [
        [words, f"{statistics.median(found):.1f} s", f"{max(found):.1f} s"]
        for step, words in (
            ("asked", "the launcher is asked for"),
            ("submitted", "the job's id is known for"),
            ("placed", "the hub knows that it runs for"),
            ("port", "the port is known for"),
        )
        if (found := figures.values.get(f"crowd {step}", {}).get("ours"))
    ]
    return [
        f"## {len(values['ours'])} starts at once\n",
        "All are ready on both sides. The sessions are light ones that speak the protocol, on both sides:"
        " this machine does not bear so many JupyterLabs.\n",
        table(["POST to ready", *SIDES.values()], rows),
        table(["ours, from the first being asked for, until", "half of them", "all of them"], steps),
    ]


def seats(figures: Figures) -> list[str]:
    """One session on a full partition, with room kept for it and without."""
    rows = [
        [words, *(_spread(figures.values[figure][side]) for side in ("without", "seat"))]
        for figure, words in (
            ("idle", "on an idle partition"),
            ("full", "on a full one: by preempting a job, or by the seat's room"),
        )
    ]
    return [
        "## Room that is kept\n",
        "A session of a whole node. Where the jobs on a full partition are nobody's to preempt, it waits"
        " without a seat until one ends. All rounds without seats came first: compare within a column.\n",
        table(["POST to ready", "without seats", "with one seat"], rows),
    ]
