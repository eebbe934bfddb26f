"""What stands at `/api/batchspawner` in place of batchspawner's own call.

batchspawner's import adds a call by which a session's token sets any attribute of its spawner: with
`exec_prefix` a session ran what it liked as the hub. That call is taken out of the hub before it starts.
The same address takes one port from a session's own token, so that a server that is started by
`batchspawner-singleuser` can say where it listens; nothing else in the body is accepted.
"""

from __future__ import annotations

import batchspawner.api  # noqa: F401 - its import is what adds the call that is removed here
from jupyterhub.apihandlers import default_handlers

from ...api.ready import ReadyHandler

PATH = "/api/batchspawner"


class PortHandler(ReadyHandler):
    """A session says on which port it listens, in batchspawner's way."""


def join_hub() -> None:
    """Put this call where batchspawner's was; harmless when done already. Must come before the hub starts."""
    default_handlers[:] = [rule for rule in default_handlers if rule[0] != PATH]
    default_handlers.append((PATH, PortHandler))
