"""A seat: a job that holds room for a session to come, and has its node read the image meanwhile."""

from __future__ import annotations

import os
import signal
import stat

#: Where a node without a runtime has the session's software.
PLAIN = "/opt/visa"
#: Read at a time; and in all, where Slurm says of no memory.
_PART, _MOST = 1 << 20, 2 << 30


def hold(image: str, job) -> None:
    """Read the image once, when nothing else runs, and sleep until the job is cancelled."""
    try:
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        pass  # it may be niced as far as it goes already
    memory = job.get("SLURM_MEM_PER_NODE", "")
    # What is read counts as the job's memory: half of it never makes it too much.
    read(image, (int(memory) << 20) // 2 if memory.isdigit() else _MOST)
    while True:
        signal.pause()


def read(image: str, most: int) -> int:
    """Have the kernel keep a file, or all files of a tree, as far as so many bytes go; how many it read.

    Of a tree what the session runs comes first. No link is followed, nothing mounted in it is entered.
    """
    try:
        found = os.stat(image)
    except OSError:
        return 0
    if stat.S_ISREG(found.st_mode):
        return _read(image, most)
    left = most
    for top in (f"{image}/opt/visa", image):
        for folder, folders, files in os.walk(top):
            folders[:] = [one for one in sorted(folders) if _is_of(f"{folder}/{one}", found.st_dev)]
            if top == image and f"{folder}/" == f"{image}/opt/":
                folders[:] = [one for one in folders if one != "visa"]
            for name in files:
                if left <= 0:
                    return most - left
                left -= _read(f"{folder}/{name}", left)
    return most - left


def _is_of(path: str, device: int) -> bool:
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def _read(path: str, most: int) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    count = 0
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            while count < most and (part := len(os.read(descriptor, _PART))):
                count += part
    except OSError:
        pass  # the next file may be readable
    finally:
        os.close(descriptor)
    return count
