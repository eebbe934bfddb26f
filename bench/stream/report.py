"""The figures of the two streams in words: printed, and written to bench/RESULTS-stream.md."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..wording import machine, table

RESULTS = Path(__file__).parents[1] / "RESULTS-stream.md"
WAYS = ("sharp", "fluent")
#: Megabits a second, and seconds there and back.
LINES = {"20 Mbit/s, 40 ms": (20, 0.04), "5 Mbit/s, 80 ms": (5, 0.08), "1 Mbit/s, 150 ms": (1, 0.15)}
FIRST = next(iter(LINES))
THREE = f"{FIRST}, three viewers"
#: A line that holds neither back.
LOOSE = "1 Gbit/s, 0 ms"
FRAMES, CLICK, BYTES = (
    "pictures a second, motion",
    "click to its answer beside motion, ms",
    "bytes of the work",
)
UNDECODED = "pictures a second, motion, to a client that decodes nothing"
#: What fluent over sharp is to be, on the first line.
TO_REACH = {FRAMES: "at least 8", CLICK: "at most 0.5", BYTES: "at most 0.25"}


@dataclass
class Figures:
    """Values by figure, line and way, one a round; the others fluent alone."""

    values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)
    loss: list[tuple[float, float]] = field(default_factory=list)

    def add(self, figure: str, line: str, way: str, value: float) -> None:
        self.values.setdefault((figure, line, way), []).append(value)


def report(figures: Figures, rounds: int, load: float) -> str:
    """The report, in Markdown."""
    lines = [
        "# The desktop's two streams over thin lines",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, load {load:.1f} before, {os.getloadavg()[1]:.1f} after, "
        f"{rounds} rounds, the median of each. Sharp is VNC, fluent the video. A session of the tests' hub, "
        "proxy, relay and page as everywhere; Chromium decodes in software on the same cores.",
        "",
    ]
    rows = []
    for (figure, line, way), values in figures.values.items():
        fluent = figures.values.get((figure, line, "fluent"))
        if way != "sharp" or not fluent:
            continue
        sharp, other = statistics.median(values), statistics.median(fluent)
        ratio = f"{other / sharp:.2f}" if sharp else "-"
        wanted = TO_REACH.get(figure.split(":")[0], "") if line == FIRST else ""
        rows.append([figure, line, f"{sharp:.6g}", f"{other:.6g}", ratio, wanted])
    lines.append(table(["what", "line", "sharp", "fluent", "fluent over sharp", "to reach"], rows).rstrip())
    if figures.idle:
        idle = 100 * statistics.median(figures.idle)
        lines += ["", f"CPU of the stream, idle desktop: {idle:.1f} % of a core (to reach: at most 3)."]
    if figures.loss:
        mean, most = (statistics.median(one) for one in zip(*figures.loss, strict=True))
        lines += [
            "",
            f"Still text on the first line, a second after it stopped: {mean:.2f} of 255 off on "
            f"average, at most {most:.0f} (no visible loss).",
        ]
    return "\n".join(lines) + "\n"
