"""Nova's word for how a server stands, as a provider says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..provider import FAULTY, KEEPS_ROOM, SAVING, Stands

#: Of servers that nobody has any more.
GONE = frozenset({"DELETED", "SOFT_DELETED"})
NO_HOST = "no room"
#: Of a machine whose memory is lost. Others may be suspended still, and 0 is that nobody can tell.
_CRASHED = 6
#: In the metadata of a server: that it stands still as its session's owner wishes; another is staff's.
OWNERS = "visa-suspended"
_STANDS = {
    "BUILD": (Stands.MAKING, ""),
    "PAUSED": (Stands.PAUSED, ""),
    # By staff's hand.
    "SUSPENDED": (Stands.PAUSED, ""),
    "SHUTOFF": (Stands.ENDED, "shut down"),
    # Its memory is not kept: what is begun again from it is another boot.
    "SHELVED": (Stands.ENDED, "destroyed"),
    "SHELVED_OFFLOADED": (Stands.ENDED, "destroyed"),
    "RESCUE": (Stands.ENDED, "destroyed"),
    "REBUILD": (Stands.ENDED, "destroyed"),
}


def stands(server: Mapping[str, Any]) -> tuple[Stands, str]:
    """How a server stands, and why as far as nova says; "" where it does not.

    A state that is not known here is none that ends anything.
    """
    status = server.get("status", "")
    if (server.get("metadata") or {}).get(OWNERS):
        if status == "SUSPENDED":
            return Stands.SAVED, KEEPS_ROOM
        if status == "ACTIVE" and server.get("OS-EXT-STS:task_state") == "suspending":
            return Stands.PAUSED, SAVING
    if status != "ERROR":
        return _STANDS.get(status, (Stands.RUNNING, ""))
    if server.get("OS-SRV-USG:launched_at") is None:
        return Stands.ENDED, NO_HOST if "No valid host" in fault(server) else "failed"
    # What failed may be something that was asked of it, while people work in it.
    if server.get("OS-EXT-STS:power_state") == _CRASHED:
        return Stands.ENDED, "lost"
    return Stands.RUNNING, FAULTY


def fault(server: Mapping[str, Any]) -> str:
    """What nova says went wrong, for staff; "" where nothing did."""
    said = server.get("fault") or {}
    return str(said.get("message") or "")
