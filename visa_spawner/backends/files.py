"""What is written into a container before it starts: names of its users and groups, and the short ways."""

from __future__ import annotations

import io
import re
import tarfile
import time
from pathlib import PurePosixPath

from ..session import Person

#: Users and groups that Debian's desktop software looks up by name.
_USERS = (
    ("root", 0, 0, "/root", "/bin/bash"),
    ("daemon", 1, 1, "/usr/sbin", "/usr/sbin/nologin"),
    ("messagebus", 101, 101, "/nonexistent", "/usr/sbin/nologin"),
    ("nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin"),
)
_GROUPS = (("root", 0), ("daemon", 1), ("tty", 5), ("messagebus", 101), ("nogroup", 65534))
_NAME = re.compile(r"[^A-Za-z0-9._-]")


def _safe_name(name: str, number: int, used: set[str]) -> str:
    """A name that cannot break the line it stands on, nor be somebody else's."""
    safe = _NAME.sub("_", name).lstrip("-.0123456789")[:32]
    return safe if safe and safe not in used else f"u{number}"


def passwd(person: Person) -> str:
    """The text of /etc/passwd: the image's few system users and the session's person.

    Raises ValueError when the home could not stand in a passwd line.
    """
    if re.search(r"[:\x00-\x1f]", person.home) or not person.home.startswith("/"):
        raise ValueError("the home directory cannot stand in /etc/passwd")
    used = {name for name, *_ in _USERS}
    lines = [
        f"{name}:x:{uid}:{gid}::{home}:{shell}" for name, uid, gid, home, shell in _USERS if uid != person.uid
    ]
    name = _safe_name(person.username, person.uid, used)
    lines.append(f"{name}:x:{person.uid}:{person.gid}::{person.home}:/bin/bash")
    return "\n".join(lines) + "\n"


def group(person: Person) -> str:
    """The text of /etc/group: every gid of the person has a name, so that nothing says "no name"."""
    user = _safe_name(person.username, person.uid, {name for name, *_ in _USERS})
    used, numbers, lines = set(), set(), []
    for name, gid in _GROUPS:
        members = user if gid in person.gids else ""
        lines.append(f"{name}:x:{gid}:{members}")
        used.add(name)
        numbers.add(gid)
    if person.gid not in numbers:
        lines.append(f"{_safe_name(person.username, person.gid, used)}:x:{person.gid}:")
        numbers.add(person.gid)
    for gid in person.gids:
        if gid not in numbers:
            lines.append(f"g{gid}:x:{gid}:{user}")
            numbers.add(gid)
    return "\n".join(lines) + "\n"


def archive(person: Person, short_ways: dict[str, str]) -> bytes:
    """The tar to unpack at the root of a created container.

    Everything in it belongs to root. Raises ValueError when a short way is not a plain absolute path.
    """
    buffer = io.BytesIO()
    made: set[str] = set()
    now = int(time.time())  # or the file browser says that an experiment is 56 years old
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in (("etc/passwd", passwd(person)), ("etc/group", group(person))):
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
