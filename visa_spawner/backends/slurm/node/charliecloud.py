"""Charliecloud's ch-run: enters the tree; processes and shared memory of System V are the node's."""

from __future__ import annotations

from . import namespace
from .plan import Plan
from .programs import find
from .root import build

#: Whether the session sees nothing of the node but what its plan names.
INSIDE = True


def command(plan: Plan, place: str, devices: list[str], environment: dict[str, str]):
    """The argument list and environment to execute; raises NotFit."""
    root = build(plan, place, devices)
    # It takes /dev from around it, and /tmp from TMPDIR, which it then forgets.
    namespace.bind(f"{root}/dev", "/dev")
    arguments = [find("ch-run"), "--no-passwd", f"--uid={plan.person.uid}", f"--gid={plan.person.gid}"]
    return [*arguments, "--cd=/", root, "--", *plan.command], {
        "USER": plan.person.username,
        **environment,
        "TMPDIR": f"{root}/tmp",
    }
