"""Keep the session's own token from whoever works in the session.

A collaborator has terminals and kernels of the owner's account. The token, found there, would make its holder
the owner at the hub, for longer than the membership lasts. So it leaves the environment before any child is
started, and no process of the same account may read what the kernel keeps of ours in /proc.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import MutableMapping

from .contract import TOKEN_STDIN_VARIABLE
from .supervise import prctl

#: Where the hub puts a session's token.
TOKEN_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")

PR_SET_DUMPABLE = 4
#: Bytes; the hub's have 32.
_LARGEST_TOKEN = 4096


def take_token(environment: MutableMapping[str, str]) -> str:
    """Take the token out of the environment, or from standard input where that says so; "" for none."""
    token = ""
    for name in TOKEN_VARIABLES:
        token = environment.pop(name, "") or token
    if environment.pop(TOKEN_STDIN_VARIABLE, "") == "1":
        token = _read_token(0) or token
    return token


def _read_token(descriptor: int) -> str:
    """All that comes on a descriptor, which leads to /dev/null from then on."""
    parts = []
    while part := os.read(descriptor, _LARGEST_TOKEN):
        parts.append(part)
        if sum(map(len, parts)) > _LARGEST_TOKEN:
            break
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return b"".join(parts)[:_LARGEST_TOKEN].decode("ascii", "replace").strip()


def hide_process() -> None:
    """Close this process, and those it forks, to others of the same account: /proc and ptrace.

    What a child executes is open again, and has an environment without the token. Raises OSError.
    """
    prctl(PR_SET_DUMPABLE, 0)


def wipe_environment(token: str) -> None:
    """Overwrite the token where the kernel put it when this process was started.

    Against what can read it all the same: a later process with more rights that prints its environment.
    """
    if not token:
        return
    with open("/proc/self/stat", "rb") as file:
        # Fields 50 and 51 are where the environment begins and ends; 0 where we may not know.
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    if not 0 < start < end:
        return
    wanted = token.encode()
    held = ctypes.string_at(start, end - start)
    found = held.find(wanted)
    while found >= 0:
        ctypes.memset(start + found, ord("x"), len(wanted))
        found = held.find(wanted, found + 1)
