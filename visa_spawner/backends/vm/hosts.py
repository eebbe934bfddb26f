"""What a host of machines has."""

from __future__ import annotations

import os


def own_cpus() -> float:
    """Cores of this machine."""
    return float(os.cpu_count() or 1)


def own_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Gpu:
    """A GPU as the books have it."""

    def __init__(self, type: str):
        self.type = type
