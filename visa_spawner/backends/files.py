"""What is written into a container before it starts: names of its users and groups, and the short ways."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable
from pathlib import PurePosixPath

from ..session import Person
from .accounts import group, passwd


def archive(person: Person, short_ways: dict[str, str], accounts: Iterable[tuple[str, int]] = ()) -> bytes:
    """The tar to unpack at the root of a created container.

    Everything in it belongs to root. Raises ValueError when a short way is not a plain absolute path.
    """
    buffer = io.BytesIO()
    made: set[str] = set()
    now = int(time.time())  # or the file browser says that an experiment is 56 years old
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in (("etc/passwd", passwd(person, accounts)), ("etc/group", group(person))):
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, now
            tar.addfile(entry, io.BytesIO(data))
        for link, target in sorted(short_ways.items()):
            for path in (link, target):
                if not path.startswith("/") or ".." in path.split("/") or "\x00" in path:
                    raise ValueError(f"a short way must be a plain absolute path, not {path!r}")
            relative = PurePosixPath(link.lstrip("/"))
            if len(relative.parts) < 2 or relative.parts[0] in ("etc", "dev", "proc", "sys", "usr"):
                raise ValueError(f"a short way cannot stand at {link!r}")
            for parent in reversed(relative.parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    folder = tarfile.TarInfo(str(parent))
                    folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, now
                    tar.addfile(folder)
            entry = tarfile.TarInfo(str(relative))
            entry.type, entry.linkname, entry.mode, entry.mtime = tarfile.SYMTYPE, target, 0o777, now
            tar.addfile(entry)
        end = tar.offset
    # Two blocks end a tar; what Python pads beyond them a reader may never take, to the writer's error.
    return buffer.getvalue()[: end + 2 * tarfile.BLOCKSIZE]
