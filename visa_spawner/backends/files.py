"""What is written into a container before it starts: names of users and groups, short ways, small texts."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from ..session import Person
from .accounts import group, passwd


def archive(
    person: Person,
    short_ways: dict[str, str],
    accounts: Iterable[tuple[str, int]] = (),
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """The tar to unpack at the root of a created container.

    Everything in it belongs to root. `texts` are files that nobody may change, by their place; an empty one
    is left out. Raises ValueError when a short way or a place is not a plain absolute path.
    """
    buffer = io.BytesIO()
    made: set[str] = set()
    now = int(time.time())  # or the file browser says that an experiment is 56 years old
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def above(path: PurePosixPath) -> None:
            for parent in reversed(path.parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    folder = tarfile.TarInfo(str(parent))
                    folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, now
                    tar.addfile(folder)

        def add(path: str, text: str, mode: int) -> None:
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), mode, now
            tar.addfile(entry, io.BytesIO(data))

        add("etc/passwd", passwd(person, accounts), 0o644)
        add("etc/group", group(person), 0o644)
        for link, target in sorted(short_ways.items()):
            path = _inside(link)
            _plain(target)
            above(path)
            entry = tarfile.TarInfo(str(path))
            entry.type, entry.linkname, entry.mode, entry.mtime = tarfile.SYMTYPE, target, 0o777, now
            tar.addfile(entry)
        for place, text in (texts or {}).items():
            if text:
                path = _inside(place)
                above(path)
                add(str(path), text, 0o444)
        end = tar.offset
    # Two blocks end a tar; what Python pads beyond them a reader may never take, to the writer's error.
    return buffer.getvalue()[: end + 2 * tarfile.BLOCKSIZE]


def _plain(path: str) -> None:
    if not path.startswith("/") or ".." in path.split("/") or "\x00" in path:
        raise ValueError(f"a short way must be a plain absolute path, not {path!r}")


def _inside(place: str) -> PurePosixPath:
    """A place of our own in the container, as a tar has it."""
    _plain(place)
    relative = PurePosixPath(place.lstrip("/"))
    if len(relative.parts) < 2 or relative.parts[0] in ("etc", "dev", "proc", "sys", "usr"):
        raise ValueError(f"a short way cannot stand at {place!r}")
    return relative
