"""The figures in words: printed, and written to bench/RESULTS.md."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path

from .rounds import Figures
from .wording import machine, percentile, table, verdict, warning

RESULTS = Path(__file__).with_name("RESULTS.md")
#: Figure, against which side, the ratio to reach.
TARGETS = (
    ("launcher", "warm", "bare", 0.45),
    ("start", "warm", "stock", 0.15),
    ("paint", "warm", "stock", 0.4),
    ("start", "ours", "own", 1.15),
    ("start", "ours", "session", 1.15),
    ("start", "ours", "stock", 0.5),
    ("start", "ours", "bare", 0.7),
)
#: The list's 95th percentile, in seconds.
LIST_TARGET = 0.050
#: Fewer rounds than this are a trial, not a result.
LEAST_ROUNDS = 7
WORDS = {
    "launcher": "Click on Start, or start by hand, to JupyterLab's launcher drawn",
    "start": "JupyterLab session, POST to ready",
    "paint": "Desktop tile, click to first painted frame",
    "settled": "Desktop tile, click to the desktop at rest",
    "memory off": "Memory of an idle session, desktop off",
    "memory on": "Memory of an idle session, desktop on",
}
SIDES = {
    "warm": "VISA, a container waits",
    "ours": "VISA, none waits",
    "stock": "stock hub, DockerSpawner, plain image",
    "bare": "bare stock process, plain image",
    "own": "bare stock process, our image",
    "session": "our session's command by hand, our image",
}


def _quantity(figure: str, value: float) -> str:
    return f"{value / 1e6:.0f} MB" if figure.startswith("memory") else f"{value:.2f} s"


def _spread(figure: str, values: list[float]) -> str:
    middle = _quantity(figure, statistics.median(values))
    return f"{middle} ({_quantity(figure, min(values))} to {_quantity(figure, max(values))})"


def ratios(figures: Figures) -> list[tuple[str, str, str, float, float]]:
    """Figure, our side, the other, ratio of the medians, ratio to reach; for what was measured on both."""
    found = []
    for figure, ours, side, target in TARGETS:
        values = figures.values.get(figure, {})
        if ours in values and side in values:
            ratio = statistics.median(values[ours]) / statistics.median(values[side])
            found.append((figure, ours, side, ratio, target))
    return found


def report(figures: Figures, listed: dict[str, list[float]], load: float) -> str:
    """The whole report; `listed` are the list's request times by query, `load` what the machine did
    besides, before anything was started."""
    measured = [figure for figure in WORDS if figure in figures.values]
    parts = ["# Figures\n"]
    rounds = [len(v) for figure in measured for v in figures.values[figure].values()]
    parts.append(
        f"Taken {datetime.now(UTC):%Y-%m-%d} on {machine()}; load before the start {load:.1f}. Medians of "
        f"{min(rounds, default=0)} rounds, the sides in turn, with the lowest and highest in brackets. Both "
        "sides have the same plan, Debian packages and versions of Python packages. `python -m bench` takes "
        "them again; README.md says what exactly is measured.\n"
    )
    parts += warning(load)
    rows = [
        [
            WORDS[figure],
            SIDES[ours],
            SIDES[side],
            f"**{ratio:.2f}**",
            f"at most {target}",
            verdict(ratio <= target),
        ]
        for figure, ours, side, ratio, target in ratios(figures)
    ]
    if rows:
        parts.append(table(["figure", "ours", "against", "ratio", "to reach", ""], rows))
    sides = [side for side in SIDES if any(side in figures.values[figure] for figure in measured)]
    rows = [
        [
            WORDS[figure],
            *(_spread(figure, v[side]) if (v := figures.values[figure]).get(side) else "" for side in sides),
        ]
        for figure in measured
    ]
    parts.append(table(["", *(SIDES[side] for side in sides)], rows))
    parts += _start_parts(figures, sides)
    if listed:
        parts += _list_parts(listed)
    return "\n".join(parts)


def _start_parts(figures: Figures, sides: list[str]) -> list[str]:
    steps = [figure for figure in figures.values if figure not in WORDS]
    sides = [side for side in sides if any(side in figures.values[step] for step in steps)]
    if not steps:
        return []
    rows = [
        [step, *(f"{statistics.median(figures.values[step][side]):.2f} s" for side in sides)]
        for step in steps
    ]
    return ["## Where a start's time goes\n", table(["", *(SIDES[side] for side in sides)], rows)]


def _list_parts(listed: dict[str, list[float]]) -> list[str]:
    rows = []
    for query, values in listed.items():
        high = percentile(values, 0.95)
        rows.append(
            [
                query,
                f"{statistics.median(values) * 1000:.0f} ms",
                f"{high * 1000:.0f} ms",
                verdict(high <= LIST_TARGET),
            ]
        )
    return [
        "## The list of 2,000 experiments\n",
        f"{len(next(iter(listed.values())))} requests of each kind through the proxy, asked by somebody who "
        f"may see them all; to reach: {LIST_TARGET * 1000:.0f} ms at the 95th percentile.\n",
        table(["query", "median", "95th percentile", ""], rows),
    ]
