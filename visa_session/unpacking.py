"""Unpack the files of a hand-over, as root, in a container that is somebody's a moment later.

What comes is what the container backend writes into a container that it makes: names of users and groups,
short ways and the passport. Nothing else is made: only plain files, directories and links, only at those
places, and no link is ever gone through. Only the standard library.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from .contract import EXPERIMENTS_ROOT
from .handover import Refused

#: The only files outside of the folder of short ways.
NAMES = ("etc/passwd", "etc/group")
_SHORT_WAYS = EXPERIMENTS_ROOT.strip("/")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(archive: bytes, root: str = "/") -> None:
    """Make what the tar holds below `root`, whose own it all is; no bytes are no tar, and nothing to do.

    Raises Refused where the tar holds what it must not, before anything is made, and where it cannot be made.
    """
    if not archive:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            entries = [(entry, _place(entry)) for entry in tar]
            texts = {entry.name: tar.extractfile(entry).read() for entry, _ in entries if entry.isreg()}
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise Refused("The files are not a whole tar.") from error
    try:
        for entry, parts in entries:
            with _folder(root, parts[:-1]) as folder, _writable(folder):
                _make(entry, parts[-1], folder, texts.get(entry.name, b""))
    except OSError as error:
        raise Refused(f"The files cannot be written: {error.strerror}.") from error


def _place(entry: tarfile.TarInfo) -> tuple[str, ...]:
    """An entry's place, part by part; raises Refused for what must not be there, or not at that place."""
    parts = tuple(entry.name.split("/"))
    # The kind as it was written: the kinds that Python counts as files by the way are not named here.
    if entry.type not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE) or entry.issparse():
        raise Refused("The files hold something else than files, directories and links.")
    if "\0" in entry.name + entry.linkname or any(part in ("", ".", "..") for part in parts):
        raise Refused("The files hold a name that is no plain place.")
    names = entry.name in NAMES and entry.isreg()
    folder = parts == (_SHORT_WAYS,) and entry.isdir()
    if not (names or folder or (parts[0] == _SHORT_WAYS and len(parts) > 1)):
        raise Refused("The files hold one that belongs nowhere in a session.")
    if entry.issym() and not entry.linkname.startswith("/"):
        raise Refused("The files hold a link that is no short way.")
    return parts


@contextmanager
def _folder(root: str, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a directory that is there, reached through no link; raises OSError."""
    descriptor = os.open(root, _FOLDER)
    try:
        for part in parts:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _writable(folder: int) -> Iterator[None]:
    """Let root write into a directory of its own: without capabilities its mode holds; `/` may be 0555."""
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & stat.S_IWUSR:
        yield
        return
    os.fchmod(folder, mode | stat.S_IWUSR)
    try:
        yield
    finally:
        os.fchmod(folder, mode)


def _make(entry: tarfile.TarInfo, name: str, folder: int, text: bytes) -> None:
    """Make one entry in its directory, in place of what is there; raises OSError."""
    mode = entry.mode & 0o777
    if entry.isdir():
        try:
            os.mkdir(name, mode, dir_fd=folder)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise
        return
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        # An engine may have mounted its own over it: written in place then.
        if error.errno != errno.EBUSY or entry.issym():
            raise
        flags |= os.O_TRUNC
    if entry.issym():
        os.symlink(entry.linkname, name, dir_fd=folder)
        return
    flags |= 0 if flags & os.O_TRUNC else os.O_CREAT | os.O_EXCL
    with open(os.open(name, flags, mode, dir_fd=folder), "wb") as file:
        # Whatever the umask is: who looks a name up is not root.
        os.fchmod(file.fileno(), mode)
        file.write(text)
