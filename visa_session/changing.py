"""`visa-session --change-data`: a machine that is a session's gets more directories, or has fewer.

Root of the machine runs it for whoever runs the machine, as `--hand-over` (`machine.py`). It reads one
document: `mounts` as at the hand-over, `links` and small `texts` by their place, and what is `gone` or
`unlinked`. What is added is there whole or not at all. Only the standard library.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from .handover import LARGEST, Refused
from .machine import Mount, arguments, is_plain, mount_from, run_command


@dataclass(frozen=True)
class Change:
    """What a document asks for; all places are plain absolute ones."""

    mounts: tuple[Mount, ...]
    links: dict[str, str]
    texts: dict[str, str]
    gone: tuple[str, ...]
    unlinked: tuple[str, ...]


def read(document: bytes) -> Change:
    """What a document says; raises Refused where it is no such thing."""
    try:
        if len(document) > LARGEST:
            raise ValueError("too long")
        values = json.loads(document)
        made = Change(
            tuple(mount_from(one) for one in values.pop("mounts")),
            {**values.pop("links")},
            {place: str(text) for place, text in values.pop("texts").items()},
            tuple(values.pop("gone")),
            tuple(values.pop("unlinked")),
        )
        places = [*made.links, *made.links.values(), *made.texts, *made.gone, *made.unlinked]
        if values or not all(map(is_plain, places)):
            raise ValueError("other names than ours, or a place that is not plain")
        return made
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Not the parser's own words, which quote what they stumbled over.
        raise Refused("The document is not whole, or says what it must not.") from error


def carry_out(change: Change) -> None:
    """Do it; raises Refused. What is to be gone goes as far as it can, whatever of it is refused."""
    refusals = []
    for step, places in ((_unlink, change.unlinked), (_unmount, sorted(change.gone, reverse=True))):
        for place in places:
            try:
                step(place)
            except (OSError, Refused) as error:
                refusals.append(f"{place}: {error}")
    undo: list[Callable[[], None]] = []
    try:
        for mount in change.mounts:
            _mount(mount, undo)
        for place, target in change.links.items():
            _link(place, target, undo)
        for place, text in change.texts.items():
            _write(place, text)  # last: what it replaces cannot be had back
    except BaseException as error:
        for step in reversed(undo):
            with suppress(OSError, Refused):  # the rest is taken back all the same
                step()
        if isinstance(error, OSError):
            raise Refused(f"It cannot be done: {error}") from error
        raise
    if refusals:
        raise Refused("; ".join(refusals))


def _mount(mount: Mount, undo: list) -> None:
    if _is_mounted(mount.target):
        raise Refused(f"Something is mounted at {mount.target} already.")
    _make(mount.target, undo)
    run_command("mount", *arguments(mount))
    undo.append(lambda: _unmount(mount.target))


def _make(place: str, undo: list) -> None:
    """The directory, and those above it that are missing, root's."""
    missing = []
    while not os.path.isdir(place):
        missing.append(place)
        place = os.path.dirname(place)
    for one in reversed(missing):
        os.mkdir(one, 0o755)
        undo.append(lambda one=one: os.rmdir(one))


def _link(place: str, target: str, undo: list) -> None:
    if os.path.islink(place) and os.readlink(place) == target:
        return
    _make(os.path.dirname(place), undo)
    os.symlink(target, place)
    undo.append(lambda: os.unlink(place))


def _write(place: str, text: str) -> None:
    """A file that nobody may change, whole at every moment."""
    os.makedirs(os.path.dirname(place), exist_ok=True)
    new = f"{os.path.dirname(place)}/.{os.path.basename(place)}.new"
    with suppress(FileNotFoundError):
        os.unlink(new)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(new, place)


def _unlink(place: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.lstat(place).st_mode):
            os.unlink(place)
            _remove_empty(os.path.dirname(place))


def _unmount(target: str) -> None:
    """What is open there stays open to who has it open, as far as it is still served."""
    while _is_mounted(target):
        # By itself: to look at the directory would ask a server that may not answer.
        run_command("umount", "--lazy", "--no-canonicalize", "--internal-only", target)
    _remove_empty(target)


def _is_mounted(target: str) -> bool:
    with open("/proc/self/mounts", "rb") as file:
        places = [line.split()[1].decode("unicode_escape").encode("latin-1") for line in file]
    return os.fsencode(target) in places


def _remove_empty(place: str) -> None:
    """Remove a directory and those above it, as long as they are empty."""
    while place != "/":
        try:
            os.rmdir(place)
        except OSError:
            return
        place = os.path.dirname(place)


def main() -> int:
    """Read the document on standard input, and say on standard output how it went, as JSON."""
    os.umask(0o022)
    try:
        carry_out(read(sys.stdin.buffer.read(LARGEST + 1)))
        answer = {"done": True}
    except (Refused, OSError) as error:
        answer = {"refused": str(error)}
    print(json.dumps(answer), flush=True)
    return 0 if answer.get("done") is True else 1
