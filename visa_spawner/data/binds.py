"""Which directories a session gets, and whether each can be trusted to be what its path says.

Nobody but the facility may be able to swap a directory on the way: every component is opened one by one
without following links, and none above the bound one may be writable by the account. Whether the account
may then read what it is given is the kernel's business.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from visa_catalogue.model import Dataset, Experiment
from visa_session.contract import EXPERIMENTS_ROOT

from ..session import Person, StartRefused
from . import kernel

log = logging.getLogger(__name__)

_RESOLVE = kernel.RESOLVE_NO_SYMLINKS | kernel.RESOLVE_NO_MAGICLINKS
_NO_FILE_NAME = re.compile(r"[/\x00-\x1f\x7f]+")
_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Wanted:
    """A directory to bind: its absolute path, how, and for what (`experiment X` or `your home`)."""

    path: str
    read_only: bool
    what: str
    field: str = "experiments"
    owner: int | None = None


class Unsafe(Exception):
    """A path that must not be bound. The message is for the log: it names the path and the reason."""


class NotThere(Unsafe):
    """A path, or a directory above it, does not exist."""


@dataclass(frozen=True)
class Identity:
    """What tells one directory from another that took its place."""

    device: int
    inode: int


def wanted_for(person: Person, experiments: Iterable[Experiment]) -> list[Wanted]:
    """The home and the data of the experiments, outer directories before those inside them.

    Where two ask for the same directory, read-only wins.
    """
    found: dict[str, Wanted] = {}
    everything = [Wanted(person.home, False, "your home directory", "home", person.uid)]
    for experiment in experiments:
        what = f"experiment {experiment.id}"
        everything.append(Wanted(experiment.raw, True, what))
        if experiment.processed:
            everything.append(Wanted(experiment.processed, False, what))
    for wanted in everything:
        known = found.get(wanted.path)
        if known is None or (wanted.read_only and not known.read_only):
            found[wanted.path] = wanted
    return sorted(found.values(), key=lambda w: w.path.split("/"))


def short_ways(experiments: Iterable[Experiment], datasets: Iterable[Dataset] = ()) -> dict[str, str]:
    """The links inside a session, and where they lead.

    `/experiments/ID/raw` and `processed`, and `/experiments/ID/datasets/NAME` for each chosen dataset.
    """
    links = {}
    for experiment in experiments:
        links[f"{EXPERIMENTS_ROOT}/{experiment.id}/raw"] = experiment.raw
        if experiment.processed:
            links[f"{EXPERIMENTS_ROOT}/{experiment.id}/processed"] = experiment.processed
    for dataset in datasets:
        folder = f"{EXPERIMENTS_ROOT}/{dataset.experiment}/datasets"
        links[f"{folder}/{_unlike(_file_name(dataset.name), folder, links)}"] = dataset.path
    return links


def _file_name(name: str) -> str:
    """A dataset's name as that of a file that people see: no slash, not hidden, not too long."""
    safe = re.sub(r"^[\s.-]+", "", _NO_FILE_NAME.sub("_", name)).strip()
    # A file's name may have 255 bytes; some are left to tell it from another.
    return safe.encode()[:200].decode("utf-8", "ignore").rstrip() or "dataset"


def _unlike(name: str, folder: str, links: Mapping[str, str]) -> str:
    """The name, with a number where others are called so too."""
    number, made = 1, name
    while f"{folder}/{made}" in links:
        number += 1
        made = f"{name} ({number})"
    return made


@contextmanager
def checked(wanted: Wanted, person: Person, home_roots: Sequence[str]):
    """The directory, open (O_PATH) for as long as the context lasts, once it has passed every check.

    Raises StartRefused, which names the experiment and never the path; the path goes to the log.
    """
    try:
        descriptor = _open(wanted, person, home_roots)
    except Unsafe as error:
        log.error("refusing to bind for %s, %s: %s", person.username, wanted.what, error)
        raise (not_on_disk(wanted) if isinstance(error, NotThere) else refusal(wanted)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def refusal(wanted: Wanted) -> StartRefused:
    """The words for the person when a directory cannot be bound."""
    what = wanted.what if wanted.field == "home" else f"the data of {wanted.what}"
    words = f"{what} cannot be opened safely at the moment; the facility's staff can find out why"
    return StartRefused(words, field=wanted.field, status=409, reason="unsafe-bind")


def not_on_disk(wanted: Wanted) -> StartRefused:
    """The words for the person when there is no such directory: data on tape, or a home not made yet."""
    if wanted.field == "home":
        words = "there is no home directory for your account yet; the facility's staff can make it"
    else:
        words = f"the data of {wanted.what} are not on disk here, perhaps archived; ask the facility's staff"
    return StartRefused(words, field=wanted.field, status=409, reason="not-on-disk")


def identity(descriptor: int) -> Identity:
    """Which directory an open descriptor stands for."""
    status = os.fstat(descriptor)
    return Identity(status.st_dev, status.st_ino)


def _open(wanted: Wanted, person: Person, home_roots: Sequence[str]) -> int:
    parts = _parts(wanted.path)
    if wanted.owner is not None and not any(
        parts[: len(root)] == root and len(parts) > len(root) for root in map(_parts, home_roots)
    ):
        raise Unsafe(f"{wanted.path} is below none of the home roots")
    current = os.open("/", _FLAGS)
    try:
        for depth, name in enumerate(parts):
            above = "/" + "/".join(parts[:depth])
            _refuse_writable(current, above, person)
            try:
                following = kernel.openat2(current, name, _FLAGS, _RESOLVE)
            except OSError as error:
                kind = NotThere if error.errno == errno.ENOENT else Unsafe
                raise kind(f"{above.rstrip('/')}/{name}: {_why(error)}") from error
            os.close(current)
            current = following
        if wanted.owner is not None and os.fstat(current).st_uid != wanted.owner:
            raise Unsafe(f"{wanted.path} belongs to uid {os.fstat(current).st_uid}, not {wanted.owner}")
    except BaseException:
        os.close(current)
        raise
    return current


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") or "\0" in part for part in parts[1:]):
        raise Unsafe(f"{path!r} is not a plain absolute path")
    return parts[1:]


def _refuse_writable(directory: int, path: str, person: Person) -> None:
    status = os.fstat(directory)
    mode = status.st_mode
    if mode & stat.S_IWOTH:
        raise Unsafe(f"{path} is writable by everyone")
    if status.st_uid == person.uid:
        # Its owner can make it writable at any time.
        raise Unsafe(f"{path} belongs to the account")
    if mode & stat.S_IWGRP:
        if status.st_gid in (person.gid, *person.gids):
            raise Unsafe(f"{path} is writable by group {status.st_gid}, which the account is in")
        # With an access list the group bits are only its mask: somebody else is named in it.
        if _has_access_list(directory):
            raise Unsafe(f"{path} is writable through an access list")


def _has_access_list(directory: int) -> bool:
    try:
        return bool(os.getxattr(f"/proc/self/fd/{directory}", "system.posix_acl_access"))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise Unsafe(f"its access list cannot be read: {error.strerror}") from error


def _why(error: OSError) -> str:
    match error.errno:
        case errno.ELOOP:
            return "is a symbolic link"
        case errno.ENOENT:
            return "does not exist"
        case errno.ENOTDIR:
            return "is no directory"
        case _:
            return error.strerror or str(error)
