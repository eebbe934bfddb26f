"""What the launcher says no with, and what Slurm's own words mean."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was done, or, for `silent`, nobody can tell; `kind` is the contract's, the text says why."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind, self.text = kind, text


#: Parts of the messages of Slurm's error table (src/common/slurm_errno.c, 22.05 to 25.11) and of its
#: authentication, by what they mean here. The first kind with a match counts: that nobody answered explains
#: whatever else was said.
_MEANINGS = (
    (
        "silent",
        (
            "unable to contact slurm controller",
            "communication connection failure",
            "communication shutdown failure",
            "message send failure",
            "message receive failure",
            "socket timed out",
            "zero bytes were transmitted or received",
            "received zero length message",
            "failed to send entire message",
            "header lengths are longer than data received",
            "connection refused",
            "connection reset",
            "protocol authentication error",
            "authentication credential",
            "failed to connect to authentication agent",
            "munge",
            "in standby mode",
            "unable to create job record, try again",
            "temporarily unable to accept job",
            "slurm backup controller",
            "unexpected message received",
            "unable to resolve",
            "unable to establish configuration source",
        ),
    ),
    ("account", ("invalid account", "invalid parent account", "set in the association")),
    ("qos", ("invalid qos",)),
    (
        "reservation",
        (
            "requested reservation",
            "reservation given",
            "due to maintenance reservation",
        ),
    ),
    (
        "partition",
        (
            "invalid partition",
            "no partition specified",
            "permitted to use this partition",
            "required partition not available",
            "partition in down state",
        ),
    ),
    (
        "limit",
        (
            "violates accounting/qos policy",
            "time limit",
            "time-min",
            "usage threshold",
            "requested partition configuration not available",
            "job size specification",
            "burst buffer resource limit",
        ),
    ),
    (
        "resources",
        (
            "requested node configuration is not available",
            "more processors requested than permitted",
            "node count specification invalid",
            "cpu count specification invalid",
            "task count specification invalid",
            "requested more tasks than available processors",
            "memory required by task is not available",
            "memory specification",
            "generic resource",
            "gres specification",
            "gres available",
            "gres option",
            "trackable resource",
            "required node not available",
            "requested nodes not in this partition",
            "invalid feature",
        ),
    ),
    (
        "person",
        ("invalid user id", "invalid group id", "user not found on host", "group id not found on host"),
    ),
    (
        "gone",
        (
            "invalid job id",
            "already completing or completed",
            "job has already finished",
            "not pending nor running",
        ),
    ),
    (
        "not_allowed",
        (
            "access/permission denied",
            "submissions disabled",
            "presently disabled",
            "not supported on this system",
        ),
    ),
)


def own_words(said: str) -> str:
    """Slurm's message without the name of its program; at most 1,000 characters."""
    lines = []
    for line in said.splitlines():
        text = line.strip()
        for program in ("sbatch: ", "scancel: ", "scontrol: ", "slurm_update error: "):
            text = text[len(program) :] if text.startswith(program) else text
        text = text[len("error: ") :] if text.startswith("error: ") else text
        if text:
            lines.append(text)
    return "; ".join(lines)[:1000]


def of_slurm(said: str) -> Refused:
    """The refusal that a message of Slurm's stands for; `other` where it is none that is known."""
    lowered = said.lower()
    for kind, parts in _MEANINGS:
        if any(part in lowered for part in parts):
            return Refused(kind, own_words(said))
    return Refused("other", own_words(said) or "Slurm gave no reason")
