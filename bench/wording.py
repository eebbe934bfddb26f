"""What the reports of all figures are made of: the machine, tables, medians with their spread, verdicts."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from pathlib import Path

#: Load a core, before the start, above which figures are not to be trusted.
BUSY = 0.25


def machine() -> str:
    """Cores, memory, kernel and engine; nothing that tells one machine from another of its kind."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    podman = subprocess.run(
        ["podman", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    release = Path("/etc/debian_version").read_text().strip()
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Debian {release}, Linux {platform.release()}, {podman}"


def warning(load: float) -> list[str]:
    """What is to be said of figures that were taken beside other work, by the load before; nothing else."""
    if load <= BUSY * os.cpu_count():
        return []
    return ["**The machine was busy with other work: take these figures again on a quiet one.**\n"]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]) + "\n"


def spread(values: list[float], unit: str = " s", scale: float = 1, digits: int = 1) -> str:
    """The median, the lowest and the highest in brackets, each times `scale`."""
    middle, low, high = (
        f"{one * scale:.{digits}f}" for one in (statistics.median(values), min(values), max(values))
    )
    return f"{middle}{unit} ({low} to {high})"


def verdict(reached: bool) -> str:
    """In a word."""
    return "reached" if reached else "missed"


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
