"""The desktop's screen: how large it is, and how large letters are drawn on it."""

from __future__ import annotations

import re

SMALLEST, LARGEST = (640, 480), (7680, 4320)
DEFAULT = (1920, 1080)
#: Dots per inch at the default height, the steps in which larger screens have more, and the most.
DOTS, STEP, MOST_DOTS = 96, 24, 192


def size_of(screen: str) -> tuple[int, int]:
    """Width and height of `1920x1080`, within what is sensible; the default for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", screen)
    if not found:
        return DEFAULT
    wanted = (int(found[1]), int(found[2]))
    width, height = (min(max(w, s), g) for w, s, g in zip(wanted, SMALLEST, LARGEST, strict=True))
    return width, height


def density_of(screen: str) -> int:
    """Dots per inch for letters: in a browser's window, screens of all sizes look about equally large."""
    _, height = size_of(screen)
    return min(MOST_DOTS, STEP * round(DOTS * max(1, height / DEFAULT[1]) / STEP))
