"""What the launcher left for this job: the plan, and the token, which is gone once it is taken."""

from __future__ import annotations

import os
import stat
import time

from visa_session.contract import EXIT_BAD_INFO, EXIT_NO_TOKEN

from .plan import NotFit

#: Seconds that a job which starts again waits for its new token, and between two looks.
PATIENCE, PAUSE = 600.0, 0.2
_LARGEST_PLAN = 1_500_000
_LARGEST_TOKEN = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_plan(directory: str, nonce: str) -> bytes:
    """The plan's text; raises NotFit."""
    try:
        descriptor = _open(directory, f"{nonce}.plan")
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_LARGEST_PLAN + 1)
    except OSError as error:
        raise NotFit(
            EXIT_BAD_INFO,
            f"The plan of this session is not in {directory} on {os.uname().nodename}: {error.strerror}.",
        ) from error
    if len(text) > _LARGEST_PLAN:
        raise NotFit(EXIT_BAD_INFO, "The plan of this session is too large.")
    return text


def wait_for_token(directory: str, nonce: str, run: int, patience: float = PATIENCE) -> int:
    """The reading end of a pipe with this run's token in it; its file is gone, and so is it from memory.

    `run` is how often the job was put back into the queue: a token of an earlier run is thrown away, since
    the hub has revoked it. Raises NotFit when none comes.
    """
    deadline = time.monotonic() + patience
    while True:
        pipe = _take(directory, nonce, run)
        if pipe is not None:
            return pipe
        # Nothing to wait for where there is no plan either: the node does not see the spool.
        read_plan(directory, nonce)
        if time.monotonic() > deadline:
            raise NotFit(EXIT_NO_TOKEN, "The service did not send this session what it needs to start again.")
        time.sleep(PAUSE)


def _take(directory: str, nonce: str, run: int):
    """The pipe with the token; None where there is none yet for this run."""
    name = f"{nonce}.token"
    try:
        # Opened anew each time: file systems of a network ask their server only then.
        descriptor = _open(directory, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotFit(EXIT_BAD_INFO, f"The spool {directory} cannot be used: {error.strerror}.") from error
    held = bytearray(_LARGEST_TOKEN)
    try:
        length = os.readv(descriptor, [held])
        first = held.find(b"\n")
        number = held[:first]
        of_run = int(number) if 0 < first < 20 and number.lstrip(b"-").isdigit() else None
        if of_run is not None and of_run > run:
            # The job starts once more already: this is left of an earlier run, on a node that is lost.
            return None
        if not _remove(directory, name, descriptor):
            return None
        if of_run is None or (of_run < run and not (of_run == -1 and run > 0)):
            return None
        end = held.find(b"\n", first + 1)
        reading, writing = os.pipe()
        with memoryview(held) as view:
            os.write(writing, view[first + 1 : end if end > 0 else length])
        os.close(writing)
        return reading
    finally:
        # In place: an immutable copy would stay readable until this process ends.
        held[:] = bytes(_LARGEST_TOKEN)
        os.close(descriptor)


def _remove(directory: str, name: str, descriptor: int) -> bool:
    """Remove the file that this descriptor is; False where another has come in its place. Raises OSError."""
    above = os.open(directory, _DIRECTORY)
    try:
        if os.stat(name, dir_fd=above, follow_symlinks=False).st_ino != os.fstat(descriptor).st_ino:
            return False
        os.unlink(name, dir_fd=above)
        return True
    except FileNotFoundError:
        return False
    finally:
        os.close(above)


def _open(directory: str, name: str) -> int:
    """A file of this account's own, open to read; raises OSError."""
    above = os.open(directory, _DIRECTORY)
    try:
        mine = os.fstat(above)
        if mine.st_uid != os.getuid() or mine.st_mode & 0o077:
            raise PermissionError(1, "the directory is not this account's alone")
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=above)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            os.close(descriptor)
            raise PermissionError(1, "the file is not this account's")
        return descriptor
    finally:
        os.close(above)
