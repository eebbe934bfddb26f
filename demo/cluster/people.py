"""Accounts of this machine, as Slurm and the jobs look them up, without a line in /etc/passwd.

libnss-extrausers reads further accounts from /var/lib/extrausers. What each owner (one demo, one run of the
tests) has put there stands in a file of its own beside, so that it can be taken away again, and so that two
may share one machine. Accounts that are there already are never touched.
"""

from __future__ import annotations

import fcntl
import grp
import json
import pwd
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .configuration import put

EXTRA = Path("/var/lib/extrausers")
NSSWITCH = Path("/etc/nsswitch.conf")
#: What each owner has put there, and NSSWITCH as it was before, in files that only root may read.
BOOK = EXTRA / "visa"
SERVICE = "extrausers"


class NameTaken(Exception):
    """This machine has another account, or another group, by the name or number of the one called `name`."""

    def __init__(self, name: str, words: str):
        super().__init__(words)
        self.name = name


@dataclass(frozen=True)
class Account:
    """An account to be known on this machine; a group of its own name and `gid` comes with it.

    `gids` are further groups, which the owner names.
    """

    name: str
    uid: int
    gid: int
    home: str
    gids: tuple[int, ...] = ()


def give(owner: str, accounts: Iterable[Account], groups: Mapping[str, int] | None = None) -> None:
    """Make exactly these accounts and groups the owner's; needs root. Two owners may have the same ones.

    Raises NameTaken where somebody else's are in the way, and ValueError for a name that no account file
    can hold.
    """
    accounts, groups = list(accounts), dict(groups or {})
    for name in [*(account.name for account in accounts), *groups]:
        if not name or re.search(r"[:\n,\0]", name):
            raise ValueError(f"{name!r} cannot be a name in an account file")
    users = {it.name: [it.uid, it.gid, it.home] for it in accounts}
    names = {number: name for name, number in groups.items()}
    teams = {it.name: [it.gid, []] for it in accounts}
    teams |= {name: [number, []] for name, number in groups.items()}
    for account in accounts:
        for gid in account.gids:
            teams[names[gid]][1].append(account.name)
    with locked():
        _check(users, {name: gid for name, (gid, _) in teams.items()})
        put(BOOK / f"{owner}.json", json.dumps({"users": users, "groups": teams}).encode(), 0o600)
        write(book())


def take_away(owner: str) -> None:
    """Remove what the owner put there; harmless when there is nothing."""
    if not BOOK.is_dir():
        return
    with locked():
        (BOOK / f"{owner}.json").unlink(missing_ok=True)
        write(book())


@contextmanager
def locked() -> Iterator[None]:
    """Alone with the files."""
    BOOK.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(BOOK / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def owners() -> list[str]:
    """Who has put accounts there."""
    return [path.stem for path in sorted(BOOK.glob("*.json"))] if BOOK.is_dir() else []


def team(gid: int) -> str:
    """What a group of the facility is called here: the same, whoever names it."""
    return f"team{gid}"


def book() -> dict[str, dict]:
    """What each owner has put there."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(BOOK.glob("*.json"))}


def write(entries: Mapping[str, dict]) -> None:
    """Put the files in place: others' lines as they are, then ours; and have them read, or no longer."""
    users, groups = {}, {}
    for entry in entries.values():
        for name, (uid, gid, home) in entry["users"].items():
            users.setdefault(name, f"{name}:x:{uid}:{gid}::{home}:/bin/bash")
        for name, (gid, members) in entry["groups"].items():
            known = groups.setdefault(name, (gid, []))[1]
            known += [member for member in members if member not in known]
    lines = {
        "passwd": list(users.values()),
        "group": [f"{name}:x:{gid}:{','.join(members)}" for name, (gid, members) in groups.items()],
    }
    for name, ours in lines.items():
        path, made = EXTRA / name, BOOK / name
        before = path.read_text().splitlines() if path.exists() else []
        written = set(made.read_text().splitlines()) if made.exists() else set()
        whole = [line for line in before if line not in written] + ours
        put(made, "".join(f"{line}\n" for line in ours).encode(), 0o600)
        if whole:
            put(path, "".join(f"{line}\n" for line in whole).encode(), 0o644)
        else:
            path.unlink(missing_ok=True)
    _read(bool(entries))


def _read(wanted: bool) -> None:
    """Have the C library look into these files, or put its own setting back where it was ours."""
    before = BOOK / "nsswitch.conf"
    text = NSSWITCH.read_text() if NSSWITCH.exists() else "passwd: files\ngroup: files\n"
    if wanted and not re.search(rf"^passwd:.*\b{SERVICE}\b", text, re.MULTILINE):
        changed = re.sub(r"^((?:passwd|group):.*?)[ \t]*$", rf"\1 {SERVICE}", text, flags=re.MULTILINE)
        put(before, text.encode(), 0o600)
        put(NSSWITCH, changed.encode(), 0o644)
    elif not wanted and before.exists():
        changed = re.sub(rf"^((?:passwd|group):.*?) {SERVICE}\b", r"\1", text, flags=re.MULTILINE)
        put(NSSWITCH, changed.encode(), 0o644)
        before.unlink()


def _check(users: Mapping[str, list], groups: Mapping[str, int]) -> None:
    """Raise NameTaken where an entry differs from what the machine has by that name or number."""
    for name, (uid, gid, _) in users.items():
        for known in _found(pwd.getpwnam, name), _found(pwd.getpwuid, uid):
            if known and (known.pw_name, known.pw_uid, known.pw_gid) != (name, uid, gid):
                raise NameTaken(
                    name,
                    f"This machine has an account {known.pw_name!r} of uid {known.pw_uid} already: "
                    f"{name!r} of uid {uid} cannot be made beside it",
                )
    for name, gid in groups.items():
        for known in _found(grp.getgrnam, name), _found(grp.getgrgid, gid):
            if known and (known.gr_name, known.gr_gid) != (name, gid):
                raise NameTaken(
                    name,
                    f"This machine has a group {known.gr_name!r} of gid {known.gr_gid} already: "
                    f"{name!r} of gid {gid} cannot be made beside it",
                )


def _found(look, key):
    try:
        return look(key)
    except KeyError:
        return None
