"""No runtime: the session runs on the node's own software and sees the node as any job does.

Raw data must be mounted read-only on the nodes; the session does not start otherwise.
"""

from __future__ import annotations

from .plan import Plan

#: Whether the session sees nothing of the node but what its plan names.
INSIDE = False


def command(plan: Plan, place: str, devices: list[str], environment: dict[str, str]):
    """The argument list and environment to execute."""
    return list(plan.command), environment
