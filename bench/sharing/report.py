"""The figures of sharing in words: printed, and written to bench/RESULTS-sharing.md."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..report import LEAST_ROUNDS
from ..wording import machine, spread, table, verdict, warning

RESULTS = Path(__file__).parents[1] / "RESULTS-sharing.md"
#: Viewers beside the one measured.
VIEWERS = (0, 1, 5)
#: What is compared, in which unit, and the ratio of chain to direct to reach.
IDLE, RATE, BUSY_DELAY = "idle", "rate", "beside motion"
LEAST_RATE, MOST_DELAY = 0.95, 1.15
#: Seconds until the last socket is closed or the first picture is there.
MOST_SECONDS = 1.0
WORDS = {
    RATE: "full-screen motion, frames a second",
    IDLE: "click to its answer, idle screen",
    BUSY_DELAY: "click to its answer, beside full-screen motion",
}
BESIDE = {0: "alone", 1: "with 1 viewer", 5: "with 5 viewers"}


@dataclass
class Figures:
    """What was measured; `streams` by figure, viewers and way (`direct`, `chain`), one value a round."""

    streams: dict[tuple[str, int, str], list[float]] = field(default_factory=dict)
    ends: list[float] = field(default_factory=list)
    grants: list[float] = field(default_factory=list)

    def add(self, figure: str, viewers: int, way: str, value: float) -> None:
        self.streams.setdefault((figure, viewers, way), []).append(value)


def ratio(figures: Figures, figure: str, viewers: int) -> float | None:
    """Chain over direct, of the medians; None where it was not measured."""
    values = [figures.streams.get((figure, viewers, way)) for way in ("chain", "direct")]
    return statistics.median(values[0]) / statistics.median(values[1]) if all(values) else None


def reached(figure: str, value: float) -> bool:
    return value >= LEAST_RATE if figure == RATE else value <= MOST_DELAY


def _spread(figure: str, values: list[float]) -> str:
    return spread(values, "") if figure == RATE else spread(values, " ms", 1000)


def _stream_rows(figures: Figures) -> list[list[str]]:
    rows = []
    for figure, words in WORDS.items():
        target = f"at least {LEAST_RATE}" if figure == RATE else f"at most {MOST_DELAY}"
        for viewers in VIEWERS:
            if (value := ratio(figures, figure, viewers)) is None:
                continue
            direct, chain = (figures.streams[figure, viewers, way] for way in ("direct", "chain"))
            rows.append(
                [
                    f"{words}, {BESIDE[viewers]}",
                    _spread(figure, direct),
                    _spread(figure, chain),
                    f"**{value:.2f}**",
                    target,
                    verdict(reached(figure, value)),
                ]
            )
    return rows


def _member_rows(figures: Figures) -> list[list[str]]:
    rows = []
    for words, values in (
        ("the owner ends a collaborator, to the last of four sockets closed", figures.ends),
        ("the owner lets somebody in who was just refused, to their first picture", figures.grants),
    ):
        if values:
            middle, worst = statistics.median(values), max(values)
            met = verdict(worst <= MOST_SECONDS)
            rows.append([words, f"{middle * 1000:.0f} ms", f"{worst * 1000:.0f} ms", str(len(values)), met])
    return rows


def report(figures: Figures, load: float) -> str:
    """The whole report; `load` is what the machine did besides, before anything was started."""
    rounds = min((len(values) for values in figures.streams.values()), default=0)
    parts = [
        "# Figures of sharing\n",
        f"Taken {datetime.now(UTC):%Y-%m-%d} on {machine()}; load before the start {load:.1f}. "
        "`python -m bench.sharing` takes them again; README.md says what exactly is measured.\n",
    ]
    parts += warning(load)
    if rows := _member_rows(figures):
        parts += [
            "## In, and out\n",
            f"To reach: {MOST_SECONDS:.0f} s.\n",
            table(["", "median", "worst", "of", ""], rows),
        ]
    if rows := _stream_rows(figures):
        parts += [
            "## The desktop\n",
            f"Medians of {rounds} rounds, lowest and highest in brackets, the two ways in turn; straight to "
            "the VNC server's own socket, and through proxy, session and relay to the same VNC server.\n",
            table(["", "straight", "through the chain", "ratio", "to reach", ""], rows),
        ]
    return "\n".join(parts)


def complete(figures: Figures) -> bool:
    """Whether this is enough to be written down."""
    streams = {(figure, viewers) for figure, viewers, _ in figures.streams}
    enough = all(len(values) >= LEAST_ROUNDS for values in figures.streams.values())
    return len(streams) == len(WORDS) * len(VIEWERS) and enough and len(figures.ends) >= 20
