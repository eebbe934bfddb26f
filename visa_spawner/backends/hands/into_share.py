"""Directories of what serves a machine's data: put into its root while it runs, or taken away there.

One JSON document on standard input a run, as for `program.py`. Of the `processes` it is the one that has a
root of its own and the `mark` among its first words; `mounts_` and `gone` are by their places in that root.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from ...data import kernel
from . import mounts, places
from .refusals import Refused
from .request import Mount

#: Words of a process's command line, and bytes of it, among which the mark is looked for.
_WORDS, _BYTES = 5, 1 << 10


def main() -> None:
    """Answer one request."""
    os.umask(0o022)
    try:
        carry_out(**json.loads(sys.stdin.buffer.read()))
        answer = {"done": True}
    except (Refused, OSError) as error:
        answer = {"refused": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


def carry_out(processes: list[int], mark: str, mounts_: list[dict], gone: list[str]) -> None:
    """Do it, new ones all or none; raises Refused, OSError."""
    wanted = [Mount(**one) for one in mounts_]
    trees = mounts.take(wanted)
    kernel.enter(_held(processes, mark), kernel.CLONE_NEWNS)
    for place in gone:
        mounts.remove(place)
    undo: places.Undo = []
    try:
        mounts.put(wanted, trees, undo)
    except BaseException:
        for step in reversed(undo):
            with suppress(OSError, Refused):  # the rest is taken back all the same
                step()
        raise


def _held(processes: list[int], mark: str) -> int:
    """The process, held on to, so that its number may pass to another one without harm; raises Refused."""
    for pid in processes:
        with suppress(OSError):
            process = os.pidfd_open(pid)
            apart = os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
            with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
                words = file.read(_BYTES).decode(errors="replace").split("\0")
            if apart and mark in words[:_WORDS]:
                return process
            os.close(process)
    raise Refused("nothing serves its data")
