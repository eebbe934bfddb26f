"""Becoming the person for good, once the machine itself says that this is who they are."""

from __future__ import annotations

import os
import pwd

from .refusals import Refused


def check(username: str, uid: int, gid: int) -> None:
    """Raise Refused unless this machine's accounts have this name with this uid and gid."""
    try:
        found = pwd.getpwnam(username)
    except (KeyError, ValueError):  # none, or a name that no database could hold
        raise Refused("person", "the machine that submits knows no such account") from None
    if (found.pw_name, found.pw_uid, found.pw_gid) != (username, uid, gid):
        raise Refused("person", "the account is another one on the machine that submits")


def become(username: str, uid: int, gid: int) -> None:
    """Be that person from now on, with all their groups, and no way back.

    The kernel closes the process to others of that account by the same step: the token in it cannot be read.
    """
    os.initgroups(username, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid) or 0 in os.getgroups():
        # Group 0 would be as good as root on many machines.
        raise Refused("person", "the account is in group 0, or could not be taken")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise RuntimeError("root could be had back")
