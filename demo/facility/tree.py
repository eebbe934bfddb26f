"""The facility's directories: who owns them, who may enter them, and whether they are ours at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .people import replace

#: Stands in every root that this program made, with the recipe that filled it.
MARKER = ".visa-demo-facility"


class NotOurs(Exception):
    """A directory stands in the way that this program did not make."""


@contextmanager
def claimed(root: Path, say: Callable[[str], None]) -> Iterator[dict]:
    """A root that is ours alone while inside: what its marker says.

    Makes it if it is not there, and waits for another run that holds it, which `say` is told. Raises NotOurs
    if it exists without the marker: nothing is ever written into somebody's data.
    """
    marker = root / MARKER
    if not os.path.lexists(root):
        for above in reversed(root.parents):
            if not above.exists():
                directory(above, 0, 0, 0o755)
        # Made beside and renamed, so that a kill in between leaves no root without its marker.
        beside = root.with_name(f".{root.name}.new")
        directory(beside, 0, 0, 0o755)
        replace(beside / MARKER, "{}\n", 0o644)
        beside.rename(root)
    if root.is_symlink() or not root.is_dir():
        raise NotOurs(f"{root} is not a plain directory")
    if not marker.is_file() or marker.is_symlink() or marker.lstat().st_uid != 0:
        raise NotOurs(
            f"{root} exists and was not made by this program: choose another place, or move it away"
        )
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is making {root}: waiting until it is done")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield json.loads(marker.read_text())
    finally:
        os.close(lock)


def mark(root: Path, **values: object) -> None:
    """Change what the root's marker says."""
    replace(root / MARKER, json.dumps(values, indent=1) + "\n", 0o644)


def own(path: Path, uid: int, gid: int, mode: int) -> None:
    """Give a file or directory these owners and this mode; raises NotOurs where a link stands."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotOurs(f"{path} is neither a plain file nor a directory: {error.strerror}") from error
    try:
        os.fchown(descriptor, uid, gid)
        # After the owner, since changing that drops the set-group-id bit.
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def directory(path: Path, uid: int, gid: int, mode: int) -> None:
    """Make a directory, or give an existing one these owners and this mode; raises NotOurs."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise NotOurs(f"{path} is not a plain directory") from None
    own(path, uid, gid, mode)


def beamtime_folders(root: Path, folder: Path, gid: int) -> None:
    """All of a beamtime but its raw data, from the root down; results already there stay.

    Everything above them is root's, so that nobody can put another directory in their place.
    """
    for above in reversed([folder, *folder.parents]):
        if above.is_relative_to(root) and above != root:
            directory(above, 0, 0, 0o755)
    for name in ("PROCESSED_DATA", "SCRIPTS", "NOBACKUP", "GALLERY"):
        # With set-group-id, so that what one member writes belongs to the whole team.
        directory(folder / name, 0, gid, 0o2770)


def put_raw(made: Path, raw: Path, gid: int, opened: bool) -> None:
    """Hand over finished raw data: root's, readable by the team, by everyone where the data are open."""
    for path, folders, files in os.walk(made):
        for name in files:
            own(Path(path, name), 0, gid, 0o644 if opened else 0o640)
        for name in folders:
            own(Path(path, name), 0, gid, 0o755 if opened else 0o750)
    own(made, 0, gid, 0o755 if opened else 0o750)
    made.rename(raw)


def drop_raw(root: Path) -> None:
    """Remove the raw data of an earlier recipe; what people wrote stays."""
    for raw in root.glob("*/*/*/RAW_DATA"):
        remove(raw)


def remove(path: Path) -> None:
    """Remove a directory with all that is in it, if it is there; links are removed, not followed."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def home(path: Path, uid: int, gid: int) -> None:
    """An account's home; raises NotOurs when one is there that belongs to somebody else."""
    if not os.path.lexists(path):
        beside = path.with_name(f".{path.name}.new")
        directory(beside, uid, gid, 0o700)
        beside.rename(path)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
        raise NotOurs(f"{path} is not a directory of uid {uid}: move it away to have one made")
    own(path, uid, gid, 0o700)


def unsafe_above(path: Path) -> list[Path]:
    """Directories above this one that others than root may write to: sessions refuse to bind below."""
    found = []
    for above in path.parents:
        status = above.stat()
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            found.append(above)
    return found
