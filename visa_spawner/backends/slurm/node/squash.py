"""An image in a SquashFS file, mounted in the session's own namespace by a program that serves it alone."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess

from visa_session.contract import EXIT_BAD_INFO

from . import namespace
from .plan import NotFit
from .programs import find

DEVICE = "/dev/fuse"
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
        _serve([program, "-f", image, f"/dev/fd/{served}"], served)
    finally:
        os.close(served)
    try:
        os.stat(f"{target}/.")
    except OSError as error:
        raise NotFit(EXIT_BAD_INFO, f"{image} is not a SquashFS file that can be read.") from error
    return target


def _serve(command: list[str], served: int) -> None:
    """Start it; it ends with the process that this one becomes, and before that for nobody's signal."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(
            signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
        )

    subprocess.Popen(
        command,
        pass_fds=[served],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        preexec_fn=prepare,
    )
