"""Checked directories, pinned: mounts of our own that an engine is given instead of paths.

Between the check of a path and the moment the engine mounts it, somebody could put another directory in
its place. So the directory that was checked is cloned from its open descriptor into a private place, with
its restrictions, and the engine gets that. Needs root (CAP_SYS_ADMIN) in the engine's mount namespace.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from ..session import Bind, Person
from . import kernel
from .binds import Identity, Unsafe, Wanted, checked, identity, refusal

log = logging.getLogger(__name__)

_DATA = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV


@dataclass(frozen=True)
class Pinned:
    """A directory that passed its checks: what it was asked for, which one it is, how to bind it."""

    wanted: Wanted
    identity: Identity
    bind: Bind


class Staging:
    """The private place, one directory a start below it.

    `root` belongs to root and nobody else may enter it. With `pin` off, paths are checked and handed on
    as they are, for engines on other machines only: what is swapped there after the check goes unseen.
    """

    def __init__(self, root: str | Path, home_roots: Sequence[str], pin: bool = True):
        self.root, self.home_roots, self.pin = Path(root), tuple(home_roots), pin
        self._in_use: set[Path] = set()

    def prepare(self) -> None:
        """Make the private place where there is none; raises Unsafe or OSError when this cannot pin."""
        if not self.pin:
            return
        if os.geteuid() != 0:
            raise Unsafe("only root can pin directories: run the hub as root, or turn VisaSite.pin_binds off")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.root.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o077:
            raise Unsafe(f"{self.root} must be a directory of root's with mode 0700")

    def stage(self, key: str, wanted: Sequence[Wanted], person: Person) -> list[Pinned]:
        """Check, and pin, all directories of a session that is about to start.

        `key` is `OWNER/NAME`. Raises StartRefused when one must not be bound, OSError when this machine
        cannot pin; either way nothing is left behind.
        """
        place = self._place(key) if self.pin else None
        try:
            pinned = [
                self._stage_one(place / str(n) if place else None, one, person)
                for n, one in enumerate(wanted)
            ]
            if place and place not in self._in_use:
                raise RuntimeError(f"the start of {key} was given up while its directories were staged")
        except BaseException:
            if place:
                self._remove(place)
            raise
        return pinned

    def confirm(self, pinned: Sequence[Pinned], person: Person) -> None:
        """Look every path up again, right before the start.

        Raises StartRefused when one leads to another directory than the one that was checked.
        """
        for one in pinned:
            with checked(one.wanted, person, self.home_roots) as descriptor:
                now = identity(descriptor)
            if now != one.identity:
                log.error(
                    "refusing to bind for %s, %s: %s was %s when checked and is %s at start",
                    person.username, one.wanted.what, one.wanted.path, one.identity, now,
                )  # fmt: skip
                raise refusal(one.wanted)

    def unpin(self, pinned: Sequence[Pinned]) -> None:
        """Take away what `stage` made for these alone."""
        for place in {Path(one.bind.source).parent for one in pinned if self.pin}:
            self._remove(place)

    def release(self, key: str) -> None:
        """Take away what was staged for a session; running containers keep the mounts they have."""
        for place in self._places():
            if self._key(place) == key:
                self._remove(place)

    def sweep(self) -> list[str]:
        """Remove what an earlier process left behind; gives the keys of the sessions it was for."""
        leftovers = [place for place in self._places() if place not in self._in_use]
        for place in leftovers:
            self._remove(place)
        return [self._key(place) for place in leftovers]

    def _stage_one(self, place: Path | None, wanted: Wanted, person: Person) -> Pinned:
        with checked(wanted, person, self.home_roots) as descriptor:
            if place is not None:
                place.mkdir(mode=0o700)
                self._pin(descriptor, place, wanted.read_only)
            source = str(place) if place is not None else wanted.path
            bind = Bind(source=source, target=wanted.path, read_only=wanted.read_only, path=wanted.path)
            return Pinned(wanted, identity(descriptor), bind)

    @staticmethod
    def _pin(descriptor: int, place: Path, read_only: bool) -> None:
        tree = kernel.clone_tree(descriptor)
        try:
            kernel.restrict_tree(tree, _DATA | (kernel.MOUNT_ATTR_RDONLY if read_only else 0))
            target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                kernel.attach_tree(tree, target)
            finally:
                os.close(target)
        finally:
            os.close(tree)

    def _place(self, key: str) -> Path:
        self.prepare()
        # The key is kept in the name, so that a sweep after a kill knows whose it was.
        place = self.root / f"{quote(key, safe='')}+{secrets.token_hex(4)}"
        self._in_use.add(place)
        place.mkdir(mode=0o700)
        return place

    def _places(self) -> list[Path]:
        try:
            return sorted(self.root.iterdir())
        except FileNotFoundError:
            return []

    @staticmethod
    def _key(place: Path) -> str:
        return unquote(place.name.rpartition("+")[0])

    def _remove(self, place: Path) -> None:
        """Unmount and remove; never deletes a file, so that a mount that stays costs nobody data."""
        self._in_use.discard(place)
        with suppress(FileNotFoundError):
            for one in sorted(place.iterdir()):
                self._unmount(one)
                one.rmdir()
            place.rmdir()

    @staticmethod
    def _unmount(path: Path) -> None:
        while True:
            try:
                kernel.detach(str(path))
            except OSError as error:
                if error.errno == errno.EINVAL:
                    return  # not a mount, or not any more
                raise
