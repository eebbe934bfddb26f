"""The container's first process: that it is the one that is meant, and the way into its mounts."""

from __future__ import annotations

import fcntl
import os
import select
import time

from ...data import kernel
from .refusals import Refused, Silent

_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Container:
    """Holds on to a process, so that its number may pass to another one without harm."""

    def __init__(self, pid: int, container: str):
        try:
            # In this order: where the first still answers after the second was opened, both are one process.
            self._proc = os.open(f"/proc/{pid}", _FLAGS)
            self._process = os.pidfd_open(pid)
            status, cgroups = self._read("status"), self._read("cgroup")
            apart = self._apart("mnt") and self._apart("pid")
            self.own_name = self._apart("uts")
        except (ProcessLookupError, FileNotFoundError):
            raise Refused("the container has ended") from None
        numbers = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
        if not apart or not numbers or numbers[0][-1] != "1" or container not in cgroups:
            raise Refused(f"process {pid} is not the first one of container {container[:12]}")
        self.check()

    def take_turn(self, until: float) -> None:
        """Wait until no other request is at this container, and keep others waiting until this program ends.

        What began before, and was given up as late, would otherwise come after what set it right. Raises
        Silent at `until`, by the monotonic clock: nobody waits for this request any more then.
        """
        # Not the one held with O_PATH, which cannot be locked; nobody inside has this machine's /proc.
        self._turn = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        while time.monotonic() < until:
            try:
                return fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
        raise Silent("an earlier request is still at this container")

    def check(self) -> None:
        """Raise Refused when the process has ended."""
        if select.select([self._process], [], [], 0)[0]:
            raise Refused("the container has ended")

    def enter(self, with_name: bool) -> None:
        """See what it sees from now on, for good; `with_name`: and have its host name for ours."""
        if with_name and not self.own_name:
            raise Refused("the container has the machine's own host name")
        self.check()
        try:
            kernel.enter(self._process, kernel.CLONE_NEWNS | (kernel.CLONE_NEWUTS if with_name else 0))
        except ProcessLookupError:
            raise Refused("the container has ended") from None

    def _read(self, name: str) -> str:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _apart(self, kind: str) -> bool:
        return os.readlink(f"ns/{kind}", dir_fd=self._proc) != os.readlink(f"/proc/self/ns/{kind}")
