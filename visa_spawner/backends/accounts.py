"""Names of users and groups inside a session: the image's few, and the person's.

Standard library alone, Python 3.9: the node program of clusters carries it too. A person here is whatever has
`username`, `uid`, `gid`, `gids` and `home`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

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


def passwd(person: Any, accounts: Iterable[tuple[str, int]] = ()) -> str:
    """The text of /etc/passwd: the image's few system users, further `accounts`, and the session's person.

    Raises ValueError when the home could not stand in a passwd line.
    """
    if re.search(r"[:\x00-\x1f]", person.home) or not person.home.startswith("/"):
        raise ValueError("the home directory cannot stand in /etc/passwd")
    used = {name for name, *_ in _USERS}
    lines = [
        f"{name}:x:{uid}:{gid}::{home}:{shell}" for name, uid, gid, home, shell in _USERS if uid != person.uid
    ]
    for name, uid in accounts:
        if name not in used and uid != person.uid:
            used.add(name)
            lines.append(f"{name}:x:{uid}:65534::/nonexistent:/usr/sbin/nologin")
    name = _safe_name(person.username, person.uid, used)
    lines.append(f"{name}:x:{person.uid}:{person.gid}::{person.home}:/bin/bash")
    return "\n".join(lines) + "\n"


def group(person: Any) -> str:
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
