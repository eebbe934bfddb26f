"""Made-up GPUs: character devices that behave like /dev/null, since the demo's machine may have no real one.

Everything up to the device is real: which session gets which one, and that no other is in its container.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

COUNT = 2
DEV_NULL = os.makedev(1, 3)


def make(folder: Path) -> None:
    """Make the devices below `folder`, where they are not there yet. Needs root."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    for path in paths(folder):
        if not path.exists():
            os.mknod(path, 0o666 | stat.S_IFCHR, DEV_NULL)
            path.chmod(0o666)


def paths(folder: Path) -> list[Path]:
    return [folder / f"gpu{number}" for number in range(COUNT)]
