"""The person's files: a session's plan, token and log, in a directory that nobody else can open."""

from __future__ import annotations

import os
import stat

from .refusals import Refused

#: What there can be of a mark; `.new` is a file that was not finished.
KINDS = ("plan", "token", "log", "plan.new", "token.new")
_LOG_END = 65536


class Spool:
    """The directory of one person, open; everything is done below this descriptor."""

    def __init__(self, path: str, uid: int):
        """Open it, or make it, as the person; raises Refused when it is not theirs alone."""
        above, _, name = path.rpartition("/")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            parent = os.open(above or "/", flags)
        except OSError as error:
            raise Refused("spool", f"the spool directory cannot be opened: {error.strerror}") from error
        try:
            try:
                os.mkdir(name, 0o700, dir_fd=parent)
            except FileExistsError:
                pass
            except OSError:
                # It may be there all the same, below a directory that only root may write.
                pass
            self.descriptor = os.open(name, flags, dir_fd=parent)
        except OSError as error:
            raise Refused("spool", f"the person's spool cannot be used: {error.strerror}") from error
        finally:
            os.close(parent)
        found = os.fstat(self.descriptor)
        if found.st_uid != uid or found.st_mode & 0o077:
            raise Refused("spool", "the person's spool directory is not theirs alone")

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole from the first moment, mode 0600; raises Refused."""
        new = f"{name}.new"
        try:
            self.remove(new)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(new, flags, 0o600, dir_fd=self.descriptor)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError as error:
            raise Refused("spool", f"the person's spool cannot be written: {error.strerror}") from error

    def remove(self, *names: str) -> None:
        """Remove files, those that are there; raises Refused. A directory in the place of one stays."""
        for name in names:
            try:
                os.unlink(name, dir_fd=self.descriptor)
            except (FileNotFoundError, IsADirectoryError):
                continue  # a directory is none of ours
            except OSError as error:
                raise Refused("spool", f"the person's spool cannot be written: {error.strerror}") from error

    def last_lines(self, name: str, uid: int, count: int) -> list:
        """The end of a text file, as far as 64 kB hold it; none where there is no such file of theirs."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except OSError:
            return []
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid:
            os.close(descriptor)
            return []
        with os.fdopen(descriptor, "rb") as file:
            file.seek(max(0, found.st_size - _LOG_END))
            text = file.read(_LOG_END)
        lines = text.decode("utf-8", "replace").splitlines()
        if found.st_size > _LOG_END:
            del lines[:1]  # it may begin in the middle
        return lines[-count:]
