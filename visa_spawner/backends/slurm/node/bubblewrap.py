"""bubblewrap: enters the tree with processes and shared memory of its own."""

from __future__ import annotations

from .plan import Plan
from .programs import find
from .root import build

#: Whether the session sees nothing of the node but what its plan names.
INSIDE = True


def command(plan: Plan, place: str, devices: list[str], environment: dict[str, str]):
    """The argument list and environment to execute; raises NotFit."""
    root = build(plan, place, devices)
    arguments = [find("bwrap"), "--dev-bind", root, "/", "--proc", "/proc"]
    # The session is the first process of its own namespace: with it, everything in it ends.
    arguments += ["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--die-with-parent", "--chdir", "/"]
    return [*arguments, "--", *plan.command], environment
