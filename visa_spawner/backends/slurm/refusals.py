"""What a session's owner reads when the cluster did not take it; the operator's log has Slurm's own words."""

from __future__ import annotations

from ...session import StartRefused

SILENT = "The cluster does not answer at the moment, so nothing was started. Try again in a few minutes."
NOT_ANSWERED = (
    "The cluster did not answer when the session was sent to it. Try again in a few minutes;"
    " should the first one still arrive there, it is cancelled."
)
NEVER_ARRIVED = (
    "The session was sent to the cluster and never arrived there. Start it again; if it happens twice, tell"
    " the facility's staff."
)
STOP_DELAYED = "The cluster has not ended the session yet; it is ended as soon as the cluster answers."
BROKEN = "The cluster did not take this session, for a reason that the facility's staff can find in the log."

#: By the launcher's kind of refusal: the option at fault, the status of the answer, and the sentence.
_REFUSALS = {
    "account": (
        "plan",
        403,
        "The cluster does not let your account charge its time to this plan's project there."
        " Choose another plan, or ask the facility's staff to be added.",
    ),
    "partition": (
        "plan",
        403,
        "The part of the cluster that this plan uses is not there, or not open to you."
        " Choose another plan, or tell the facility's staff.",
    ),
    "qos": (
        "plan",
        403,
        "The cluster does not give your account the service level of this plan."
        " Choose another plan, or ask the facility's staff.",
    ),
    "reservation": (
        "plan",
        403,
        "The reservation on the cluster that this plan uses is over, or not for you. Choose another plan.",
    ),
    "resources": (
        "plan",
        400,
        "No machine of the cluster has what this plan asks for: the number of cores, the memory, or the kind"
        " of GPU. Choose another plan, and tell the facility's staff.",
    ),
    "limit": (
        "plan",
        409,
        "The cluster allows your account no more at the moment: too many jobs, too much at once, or too long."
        " End something there, choose a smaller plan or a shorter life, and start again.",
    ),
    "person": (
        "account",
        403,
        "The cluster does not know your account. Tell the facility's staff.",
    ),
    "spool": (
        "",
        503,
        "The place where the cluster keeps the files of your sessions is full or cannot be written. Tell the"
        " facility's staff.",
    ),
    "silent": ("", 503, NOT_ANSWERED),
}


def start_refused(kind: str) -> StartRefused:
    """The refusal of a start that stands for one of the launcher's."""
    field, status, words = _REFUSALS.get(kind, ("", 503, BROKEN))
    return StartRefused(words, field=field, status=status, reason="cluster")


class StopDelayed(Exception):
    """The cluster did not confirm an end yet; the text is for the session's owner."""
