"""The figures of Slurm in words: printed, and written to bench/RESULTS-slurm.md."""

from __future__ import annotations

import os
import statistics
from datetime import UTC, datetime
from pathlib import Path

from ..report import BUSY, LEAST_ROUNDS, machine
from ..rounds import Figures

RESULTS = Path(__file__).parents[1] / "RESULTS-slurm.md"
SIDES = {"stock": "stock batchspawner", "ours": "VISA"}
#: How many times less than stock watching many sessions has to cost, and how many times more than few.
LEAST_TIMES, MOST_GROWTH = 500, 4
FEW, MANY = 10, 1000
WATCH = {
    "hub": "the hub and the commands it runs",
    "controller": "the controller",
    "watch": "**together**",
}


def _spread(values: list[float]) -> str:
    unit, scale = ("s", 1) if statistics.median(values) >= 1 else ("ms", 1000)
    middle, low, high = (one * scale for one in (statistics.median(values), min(values), max(values)))
    return f"{middle:.1f} {unit} ({low:.1f} to {high:.1f})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]) + "\n"


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
    """Whether there is enough to be written down."""
    return rounds_of(figures) >= LEAST_ROUNDS


def report(figures: Figures, load: float) -> str:
    """The whole report; `load` is what the machine did besides, before anything was started."""
    parts = [
        "# Slurm\n",
        f"Taken {datetime.now(UTC):%Y-%m-%d} on {machine()}; load before the start {load:.1f}. Medians of"
        f" {rounds_of(figures)} rounds, the sides in turn, with the lowest and highest in brackets."
        " `python -m bench.slurm` takes them again; README.md says what exactly is measured.\n",
    ]
    if load > BUSY * os.cpu_count():
        parts.append("**The machine was busy with other work: take these figures again on a quiet one.**\n")
    if f"watch {MANY}" in figures.values:
        parts += watching(figures)
    return "\n".join(parts)


def watching(figures: Figures) -> list[str]:
    """What it costs to watch sessions."""
    less, more = times_less(figures, MANY), growth(figures)
    rows = [
        [
            f"{MANY:,} sessions, CPU of a round, stock's over ours",
            f"**{less:.0f}**",
            f"at least {LEAST_TIMES}",
            "reached" if less >= LEAST_TIMES else "missed",
        ],
        [
            f"ours, {MANY:,} sessions over {FEW}",
            f"**{more:.1f}**",
            f"at most {MOST_GROWTH}",
            "reached" if more <= MOST_GROWTH else "missed",
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
