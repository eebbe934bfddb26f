"""One node of the cluster: a process namespace with slurmd in it. Run as root, standard library alone.

    python node.py NAME HELD COMMAND...

Slurm's jobs outlive their slurmd, as they should. When this process ends, all that ran on the node ends with
it, as in a power cut: slurmd, jobs, and what jobs left behind. A slurmd that died is started again, unless
the file HELD is there. NAME is the node's among all nodes on this machine: its memory is counted in a control
group of that name, which slurmd takes for the machine's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_SLAVE = 2, 4, 0x1000, 0x4000, 1 << 19
PR_SET_PDEATHSIG = 1
#: Version 1 of control groups: version 2 wants an init system of Slurm 22.05.
MEMORY = Path("/sys/fs/cgroup/memory")
libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """A system call by name; raises OSError when it fails."""
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def has_memory_groups() -> bool:
    """Whether a node can have a control group of its own for its memory."""
    return os.access(MEMORY / "cgroup.procs", os.W_OK)


def memory_of_its_own(name: str) -> None:
    """Have the node's control group be the root of all that this mount namespace sees."""
    if has_memory_groups():
        remove_group(name)
        own = MEMORY / "visa" / name
        own.mkdir(parents=True, exist_ok=True)
        call("mount", str(own).encode(), str(MEMORY).encode(), None, MS_BIND, None)


def remove_group(name: str) -> bool:
    """Remove the control group of a node, as far as nothing runs in it; whether it is gone."""
    own = MEMORY / "visa" / name
    for folder in [*sorted((p for p in own.rglob("*") if p.is_dir()), reverse=True), own, own.parent]:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not own.exists()


def first_process(name: str, held: Path, command: list[str]) -> None:
    """Be the first process of the namespace: keep slurmd running, and reap what nobody else does."""
    call("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
    call("mount", b"proc", b"/proc", b"proc", 0, None)
    # Shared memory of its own: what a killed MPI job leaves there ends with the node, and meets no other's.
    call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=1777")
    memory_of_its_own(name)
    # Blocked, so that one that comes between two looks is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    slurmd = 0
    # Says that the machine has just begun: what the controller believes to run here is over.
    options = ["-b"]
    while True:
        if not slurmd and not held.exists():
            slurmd = subprocess.Popen([*command, *options], preexec_fn=unblock).pid
            options = []
        signal.sigtimedwait({signal.SIGCHLD}, 0.25)
        while ended := reaped():
            if ended == slurmd:
                slurmd = 0
                time.sleep(0.5)


def unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def reaped() -> int:
    """A process that has ended; 0 when there is none."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def main() -> None:
    name, held, command = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    call("unshare", CLONE_NEWPID | CLONE_NEWNS)
    child = os.fork()
    if not child:
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        first_process(name, held, command)
    os.waitpid(child, 0)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
