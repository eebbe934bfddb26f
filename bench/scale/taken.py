"""What a process has taken so far: processor time and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """CPU in seconds, memory in bytes."""

    cpu: float
    rss: int


def taken(pid: int) -> Taken:
    """Of a process that runs, its threads included; raises OSError where there is none."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(after_name[11]) + int(after_name[12])
    return Taken(ticks / os.sysconf("SC_CLK_TCK"), int(after_name[21]) * os.sysconf("SC_PAGE_SIZE"))
