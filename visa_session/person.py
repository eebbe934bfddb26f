"""Stop being root, and be a session's person: for good, with nothing left that leads back.

What is left is what a container has that was made for the person in the first place; `check` reads that from
the kernel rather than believing that every call did what it should. Only the standard library.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from .handover import Handover, Refused
from .supervise import prctl

PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

#: The sets of capabilities in a process's status, each of them empty in the end.
_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def become(who: Handover) -> None:
    """Make this process the person's; raises Refused when it is not wholly so in the end.

    It must have CAP_SETUID, CAP_SETGID and CAP_SETPCAP. Others of the account may look into it then, as into
    one that was started as the account: `hide_process` is the caller's to call.
    """
    try:
        _drop_bounding_set()
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        os.setgroups(sorted(_groups(who)))
        os.setresgid(who.gid, who.gid, who.gid)
        # From here on the kernel itself has taken the permitted, effective and ambient sets away.
        os.setresuid(who.uid, who.uid, who.uid)
        _empty_own_sets()
        prctl(PR_SET_DUMPABLE, 1)
    except OSError as error:
        raise Refused(f"This process cannot become the account's: {error.strerror}.") from error
    check(who)


def check(who: Handover, tasks: Path = Path("/proc/self/task")) -> None:
    """Raise Refused unless each thread of this process is the person's alone, by the kernel's own word.

    Each, since a capability belongs to a thread: one that a library started would keep its own.
    """
    for task in tasks.iterdir():
        lines = (line.partition(":") for line in (task / "status").read_text().splitlines())
        status = {name: value.split() for name, _, value in lines}
        right = status["Uid"] == [str(who.uid)] * 4 and status["Gid"] == [str(who.gid)] * 4
        right = right and {int(gid) for gid in status["Groups"]} == _groups(who)
        right = right and all(int(status[name][0], 16) == 0 for name in _SETS)
        if not right or status["NoNewPrivs"] != ["1"]:
            raise Refused("This process did not become the account's in every respect.")


def _groups(who: Handover) -> set[int]:
    """The supplementary groups, with the first one among them, as engines do it."""
    return {who.gid, *who.gids}


def _drop_bounding_set() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        prctl(PR_CAPBSET_DROP, capability)


def _empty_own_sets() -> None:
    """Empty the inheritable set too, which a change of the user id leaves as it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
