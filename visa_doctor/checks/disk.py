"""Whether there is room where the hub's machine writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from ..finding import Finding, fine, unchecked, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

#: Shares of a file system, and bytes, that must be free.
SOON, FULL, LEAST = 0.10, 0.03, 1 << 30
_MEND = "`du -xh --max-depth=2 {path} | sort -h | tail`; old images go with `podman image prune`."


async def look(here: Installation) -> Look:
    """Each file system once."""
    for finding in await in_thread(lambda: list(_looked(here))):
        yield finding


def _places(here: Installation) -> Iterator[Path]:
    yield from map(Path, here.site.disks)
    url = make_url(here.app.db_url)
    if url.get_backend_name() == "sqlite" and url.database:
        yield Path(url.database).absolute().parent
    if here.sharing.events_file:
        yield Path(here.sharing.events_file).absolute().parent
    if any(node.is_local for node in here.nodes):
        yield from (Path("/var/lib/containers"), Path("/var/lib/docker"))


def _looked(here: Installation) -> Iterator[Finding]:
    seen: set[int] = set()
    told, lowest = 0, 1.0
    for path in _places(here):
        try:
            device = path.stat().st_dev
            room = os.statvfs(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield unchecked(f"{path} cannot be looked at: {worded(error)}.")
            continue
        if device in seen or not room.f_blocks:
            continue
        seen.add(device)
        free, share = room.f_bavail * room.f_frsize, room.f_bavail / room.f_blocks
        lowest, mend = min(lowest, share), _MEND.format(path=path)
        if share < FULL or free < LEAST // 4:
            told += 1
            yield wrong(
                f"The file system of {path} is full: {_size(free)} are left, {share:.0%}.", mend, str(path)
            )
        elif share < SOON and free < 50 * LEAST:
            told += 1
            yield warning(f"The file system of {path} has {_size(free)} left, {share:.0%}.", mend, str(path))
        if room.f_files and room.f_favail / room.f_files < FULL:
            told += 1
            yield wrong(f"The file system of {path} can hold no more files (inodes).", mend, str(path))
    if seen and not told:
        yield fine(f"At least {lowest:.0%} of each file system that the hub writes to are free.")


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= LEAST else f"{count >> 20} MB"
