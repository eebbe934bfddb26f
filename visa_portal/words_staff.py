"""What staff read about requests, machines and kinds of lines in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from .models_staff import Node
from .words import number, size

#: What became of a request to join.
ASK_STATES = {
    "open": "Waiting for the owner's answer",
    "accepted": "Accepted",
    "declined": "The owner declined",
    "lapsed": "Not answered in time",
    "withdrawn": "Withdrawn",
    "ended": "Over",
}
#: What a request to join asks for, by its role.
ROLES = {"viewer": "Watch", "collaborator": "Work together"}
#: The kinds of lines in the audit log, as one looks for them.
KINDS = {
    "member-granted": "Let in",
    "member-changed": "Role changed",
    "member-ended": "Membership ended",
    "member-refused": "Kept out",
    "team-shared": "Shared with a team",
    "team-unshared": "No longer shared with a team",
    "link-made": "Link made",
    "link-revoked": "Link revoked",
    "link-used": "Link used",
    "link-refused": "Link refused",
    "locked": "Locked",
    "unlocked": "Unlocked",
    "entered": "Came in",
    "left": "Went out",
    "support-asked": "Support asked",
    "support-answered": "Support answered",
    "support-lapsed": "Support not answered",
    "support-withdrawn": "Support withdrew",
    "support-seconded": "Support agreed by a second",
    "help-asked": "Help asked for",
    "help-withdrawn": "Help no longer asked for",
    "help-taken": "Help taken",
    "help-closed": "Help closed",
    "node-drained": "Node drained",
    "node-undrained": "Node takes sessions again",
    "announced": "Announced",
    "announcement-ended": "Announcement ended",
    "message-sent": "Message to an owner",
    "session-stopped": "Stopped by an administrator",
    "session-ended": "Session ended",
    "start-failed": "Start refused or failed",
    "data-added": "Data added",
    "data-removed": "Data taken away",
    "session-extended": "Given more time",
    "session-suspended": "Suspended",
    "session-resumed": "Resumed",
    "claim-refused": "Machine's claim refused",
}


#: What the nodes of a backend are called, and what may be done with them.
NODES = {
    "container": ("Containers", "On a drained node no new session starts. What runs there goes on."),
    "slurm": (
        "Cluster",
        "Slurm decides what starts where. A node may be kept free of new sessions here; other jobs go on "
        "starting there, and so may sessions that wait already. To keep all away, drain it in Slurm.",
    ),
    "vm": ("Virtual machines", "On a drained node no new session starts. What runs there goes on."),
}


def groups(nodes: Sequence[Node]) -> list[tuple[str, str, list[Node]]]:
    """The nodes of each backend, with what these are called and what may be done with them."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(node.backend, []).append(node)
    otherwise = NODES["container"][1]
    return [(*NODES.get(name, (name, otherwise)), some) for name, some in found.items()]


def at(owner: str, name: str) -> str:
    """A session's place in an address."""
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"


def place(thing) -> str:
    """The same, of anything that has the session's `owner` and `name`."""
    return at(thing.owner, thing.name)


def spare(node: Node) -> str:
    """What is free on a node, of what it has: `12 of 16 cores, 40 GB of 64 GB, 1 of 2 GPUs free`."""
    free, parts = node.free, []
    if node.cpus:
        parts.append(f"{number(free.cpus)} of {number(node.cpus)} cores")
    if node.memory:
        parts.append(f"{size(free.memory) if free.memory else 0} of {size(node.memory)}")
    if node.gpus:
        parts.append(f"{free.gpus} of {node.gpus} GPU{'s' if node.gpus > 1 else ''}")
    return f"{', '.join(parts)} free" if parts else ""
