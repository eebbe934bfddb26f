"""What a session's owner reads when a node could not start it; the operator's log has the rest."""

from __future__ import annotations

from ..session import StartRefused
from .engine import EngineRefused, EngineSilent
from .gpus import GpuNotGiven, GpuUnknown
from .placement import NoRoom


class StopDelayed(Exception):
    """A node does not answer, so a session there could not be ended yet; the text is for its owner."""


def refusal_for(error: BaseException, node: str) -> StartRefused | None:
    """The refusal that stands for an error; None for a cancelled start or a defect."""
    if isinstance(error, StartRefused):
        return error
    if isinstance(error, NoRoom):
        status = 400 if error.never else 503 if error.closed else 409
        return StartRefused(error.words, field="plan", status=status, reason="no room")
    if isinstance(error, EngineSilent):
        return StartRefused(
            f"Node {node} stopped answering while the session was being made. Try again in a minute.",
            status=503,
            reason="engine",
        )
    if isinstance(error, EngineRefused) and error.status == 404 and "image" in error.text.lower():
        return StartRefused(
            f"The software of this profile is not installed on {node} yet. Choose another profile, "
            "or tell the facility's staff.",
            field="profile",
            status=503,
            reason="image",
        )
    if isinstance(error, EngineRefused):
        return StartRefused(
            f"Node {node} could not make the session. Try again;"
            " if it happens twice, tell the facility's staff.",
            status=503,
            reason="engine",
        )
    if isinstance(error, GpuNotGiven):
        return StartRefused(
            f"Node {node} did not give the session its GPU, so it was not started."
            " Tell the facility's staff.",
            field="plan",
            status=503,
            reason="gpu",
        )
    if isinstance(error, GpuUnknown):
        return StartRefused(
            f"The GPUs of node {node} are not set up. Tell the facility's staff.",
            field="plan",
            status=503,
            reason="gpu",
        )
    return None
