"""Where a node has the programs of its runtimes."""

from __future__ import annotations

import shutil

from visa_session.contract import EXIT_BAD_INFO

from .plan import NotFit

#: The node's, whatever the job's environment says.
PATH = "/usr/local/bin:/usr/bin:/bin"


def find(name: str) -> str:
    """A program's path; raises NotFit where it is not installed."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise NotFit(EXIT_BAD_INFO, f"{name} is not installed on this node.")
    return found
