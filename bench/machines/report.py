"""The figures of machines in words: printed, and written to bench/RESULTS-machines.md."""

from __future__ import annotations

import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ..rounds import Figures
from ..wording import machine, spread, table, verdict, warning
from .starts import STEPS

RESULTS = Path(__file__).parents[1] / "RESULTS-machines.md"
SIDES = {"hand": "the disk booted by hand", "cold": "VISA, none waits", "pooled": "VISA, a machine waits"}
#: Of the time of a boot by hand.
COLD_SHARE, POOLED_SHARE = 1.15, 0.15
#: Questions of one look, however many machines there are.
ONE = 1
#: A boot in software takes minutes of the machine, so few rounds must do.
LEAST_ROUNDS = 3
FEW, MANY = 10, 200


def share(figures: Figures, side: str) -> float:
    """Of the time of a boot by hand, how much a start of ours takes, by the medians."""
    values = figures.values["start"]
    return statistics.median(values[side]) / statistics.median(values["hand"])


def rounds_of(figures: Figures) -> int:
    """How many rounds each side of the starts has at least."""
    return min((len(values) for values in figures.values.get("start", {}).values()), default=0)


def complete(figures: Figures) -> bool:
    """Whether there is enough to be written down."""
    sides = set(figures.values.get("start", {})) >= set(SIDES)
    return sides and rounds_of(figures) >= LEAST_ROUNDS and f"asked {MANY}" in figures.values


def report(figures: Figures, load: float) -> str:
    """The whole report; `load` is what the machine did besides, before anything was started."""
    parts = [
        "# Machines\n",
        f"Taken {datetime.now(UTC):%Y-%m-%d} on {machine()}, {_versions()}, without KVM: machines run in"
        f" software (TCG). Load before the start {load:.1f}. `python -m bench.machines` takes them again;"
        " README.md says what exactly is measured.\n",
    ]
    parts += warning(load)
    if "start" in figures.values:
        parts += starting(figures)
    if f"asked {FEW}" in figures.values:
        parts += watching(figures)
    return "\n".join(parts)


def _versions() -> str:
    said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout
    return f"QEMU {said.partition('version ')[2].split(' ')[0] or 'of unknown version'}"


def starting(figures: Figures) -> list[str]:
    """From POST to ready, beside the boot by hand."""
    values = figures.values["start"]
    rows = [
        [
            f"{SIDES[side]}, over {SIDES['hand']}",
            f"**{ratio:.2f}**",
            f"at most {most}",
            verdict(ratio <= most),
        ]
        for side, most in (("cold", COLD_SHARE), ("pooled", POOLED_SHARE))
        if side in values and (ratio := share(figures, side))
    ]
    details = [
        [SIDES[side], spread(values[side]), spread(cpu) if (cpu := figures.values["cpu"].get(side)) else ""]
        for side in SIDES
        if side in values
    ]
    parts = [
        [figure, spread(figures.values[figure]["cold"])]
        for figure in STEPS.values()
        if figure in figures.values
    ]
    return [
        "## One start\n",
        f"Medians of {rounds_of(figures)} rounds with the lowest and highest in brackets: few, since each"
        " boots machines in software. By hand and by the hub in turn; then from the pool, in the same run.\n",
        table(["figure", "ratio", "to reach", ""], rows),
        table(["POST, or start by hand, to ready", "time", "QEMU's CPU until then"], details),
        table(["where a cold start's time goes", ""], parts),
    ]


def watching(figures: Figures) -> list[str]:
    """One look at few and at many."""
    values = {name: sides["watch"] for name, sides in figures.values.items() if "watch" in sides}
    counts = [count for count in (FEW, MANY) if f"asked {count}" in values]
    most = max(values[f"asked {counts[-1]}"])
    rows = [
        [
            f"questions to libvirt at one look, {counts[-1]} machines",
            f"**{most:g}**",
            f"{ONE}",
            verdict(most == ONE),
        ]
    ]
    details = [
        [
            f"{count} machines",
            f"{statistics.median(values[f'asked {count}']):g}",
            *(spread(values[f"{what} {count}"], " ms", 1000) for what in ("hub", "libvirtd")),
        ]
        for count in counts
    ]
    return [
        "## Watching\n",
        table(["figure", "", "to reach", ""], rows),
        table(["one look at", "questions", "CPU of the hub", "CPU of libvirtd"], details),
    ]
