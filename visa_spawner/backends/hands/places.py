"""Directories, links and small files inside, reached without ever following a link that somebody planted."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from ...data import kernel
from .refusals import Refused

FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
NO_LINKS = kernel.RESOLVE_NO_SYMLINKS | kernel.RESOLVE_NO_MAGICLINKS

#: Steps that take back what was done, in the order in which it was.
Undo = list[Callable[[], None]]


class Way:
    """The directories from `/` down to one, all open; gone from when `close` is called.

    `is_mount`: something is mounted at the last one. With `undo`, missing ones are made, root's and open to
    all, in the container's own files alone and never in what is mounted there.
    """

    def __init__(self, path: str, undo: Undo | None = None):
        self.path, self.names = path, path.split("/")[1:]
        self.open, self._own, self.is_mount = [os.open("/", FLAGS)], 0, False
        try:
            for name in self.names:
                self._step(name, undo)
        except BaseException:
            self.close()
            raise

    @property
    def last(self) -> int:
        """The last directory, open."""
        return self.open[-1]

    def _step(self, name: str, undo: Undo | None) -> None:
        here = self.last
        try:
            try:
                self._go(here, name)
            except FileNotFoundError:
                if undo is None:
                    raise
                self._make(here, name, undo)
                self._go(here, name)
        except OSError as error:
            where = "/" + "/".join(self.names[: len(self.open)])
            if error.errno == errno.ENOENT:
                raise
            why = "is a link" if error.errno == errno.ELOOP else error.strerror
            raise Refused(f"{where} inside: {why}") from error

    def _go(self, here: int, name: str) -> None:
        try:
            self.open.append(kernel.openat2(here, name, FLAGS, NO_LINKS | kernel.RESOLVE_NO_XDEV))
            self.is_mount = False
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self.open.append(kernel.openat2(here, name, FLAGS, NO_LINKS))
            self.is_mount = True
        if not self.is_mount and self._own == len(self.open) - 2:
            self._own += 1

    def _make(self, here: int, name: str, undo: Undo) -> None:
        if self._own != len(self.open) - 1:
            raise Refused(f"{self.path} is not there, and would have to be made in what is mounted above")
        os.mkdir(name, 0o755, dir_fd=here)
        kept = os.dup(here)
        undo.append(lambda: os.rmdir(name, dir_fd=kept))

    def remove_empty(self) -> None:
        """Remove the last directory and those above, as long as they are empty and the container's own."""
        for depth in range(self._own, 0, -1):
            try:
                os.rmdir(self.names[depth - 1], dir_fd=self.open[depth - 1])
            except OSError:
                return

    def close(self) -> None:
        """Let go."""
        while self.open:
            os.close(self.open.pop())


def make_link(place: str, target: str, undo: Undo) -> None:
    """A link of root's at `place`; one that is there and says the same is left alone. Raises Refused."""
    above, _, name = place.rpartition("/")
    way = Way(above, undo)
    try:
        os.symlink(target, name, dir_fd=way.last)
        kept = os.dup(way.last)
        undo.append(lambda: os.unlink(name, dir_fd=kept))
    except FileExistsError:
        with suppress(OSError):
            if os.readlink(name, dir_fd=way.last) == target:
                return
        raise Refused(f"{place} inside is something else") from None
    finally:
        way.close()


def remove_link(place: str) -> None:
    """Remove a link, and the directories above that are empty then; anything else there is left alone."""
    above, _, name = place.rpartition("/")
    try:
        way = Way(above)
    except FileNotFoundError:
        return
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(os.stat(name, dir_fd=way.last, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=way.last)
        way.remove_empty()
    finally:
        way.close()


def write_text(place: str, text: str, undo: Undo) -> None:
    """A file that everybody may read and nobody but root may write, whole at every moment; raises Refused."""
    above, _, name = place.rpartition("/")
    way = Way(above, undo)
    made = f".{name}.{os.getpid()}"
    try:
        descriptor = os.open(
            made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444, dir_fd=way.last
        )
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(made, name, src_dir_fd=way.last, dst_dir_fd=way.last)
        except BaseException:
            os.unlink(made, dir_fd=way.last)
            raise
    except OSError as error:
        raise Refused(f"{place} inside: {error.strerror}") from error
    finally:
        way.close()
