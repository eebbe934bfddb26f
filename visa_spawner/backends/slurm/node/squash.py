"""An image in one file, SquashFS or SIF, mounted in the session's own namespace.

No runtime mounts it by itself: Slurm sends the signal that ends a session to every process of a job, and what
serves the session's own files must be the last to go.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import subprocess
import time

from visa_session.contract import EXIT_BAD_INFO

from . import namespace
from .plan import NotFit
from .programs import find

DEVICE = "/dev/fuse"
#: Where a SIF file says what it is, and where it lists its parts; then one part, and which has the system.
_MAGIC, _PARTS, _PART = (32, b"SIF_MAGIC\0"), struct.Struct("<80x6q"), struct.Struct("<i?3i2q")
_PARTITION, _SQUASHFS, _SYSTEM = 0x4004, 1, 2
_PART_SIZE, _PART_EXTRA = 585, 201
_PR_SET_PDEATHSIG = 1


def tree(image: str, place: str) -> str:
    """The directory in which the image's files are: itself, or for a file where it is mounted below `place`.

    Raises NotFit, and OSError where it cannot be mounted.
    """
    if not os.path.isfile(image):
        return image
    program = find("squashfuse_ll")
    target = f"{place}/image"
    os.mkdir(target, 0o755)
    try:
        served = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        words = f"{image} cannot be mounted on {os.uname().nodename}: {DEVICE}: {error.strerror}."
        raise NotFit(EXIT_BAD_INFO, words) from error
    try:
        namespace.fuse(served, target)
        options = ["-o", f"offset={offset(image)}"]
        _serve([program, "-f", *options, image, f"/dev/fd/{served}"], served)
    finally:
        os.close(served)
    try:
        os.stat(f"{target}/.")
    except OSError as error:
        raise NotFit(EXIT_BAD_INFO, f"{image} is no SquashFS or SIF file that can be read.") from error
    return target


def offset(image: str) -> int:
    """Where in the file its SquashFS begins; raises OSError, and NotFit for a SIF file without one."""
    with open(image, "rb") as file:
        head = file.read(128)
        if not head[_MAGIC[0] :].startswith(_MAGIC[1]):
            return 0
        try:
            _, total, begin, _, _, _ = _PARTS.unpack_from(head)
            file.seek(begin)
            for _ in range(min(total, 1000)):
                part = file.read(_PART_SIZE)
                kind, used, _, _, _, start, _ = _PART.unpack_from(part)
                system = struct.unpack_from("<2i", part, _PART_EXTRA)
                if used and kind == _PARTITION and system == (_SQUASHFS, _SYSTEM):
                    return start
        except struct.error:
            pass
    raise NotFit(EXIT_BAD_INFO, f"{image} is a SIF file without a system in SquashFS.")


def _serve(command: list[str], served: int) -> None:
    """Start what serves the image until this process, or what it becomes, has ended.

    By a process of its own that is nobody's child: a session ends all of its own before itself.
    """
    session = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            _keep(command, served, session)
    finally:
        os._exit(0)


def _keep(command: list[str], served: int, session: int) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    # The session's token is in a pipe that is open here, too.
    for number in range(3, 4096):
        if number != served:
            try:
                os.close(number)
            except OSError:
                continue
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT))
    libc = ctypes.CDLL(None)
    # It ends with this process, whatever ends this one.
    subprocess.Popen(
        command,
        pass_fds=[served],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
    )
    os.close(served)
    _wait(session)


def _wait(process: int) -> None:
    """Until a process that is no child of ours has ended."""
    if hasattr(os, "pidfd_open"):
        try:
            poll = select.poll()
            poll.register(os.pidfd_open(process), select.POLLIN)
            poll.poll()
            return
        except ProcessLookupError:
            return
        except OSError:
            pass  # a kernel before 5.3
    while os.path.exists(f"/proc/{process}"):
        time.sleep(1)  # between two looks, for as long as the session runs
