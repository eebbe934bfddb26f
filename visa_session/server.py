"""From a checked session to a running server: the desktop early, the imports quickly, then the server."""

from __future__ import annotations

import os
import socket as sockets
from pathlib import Path

from .contract import AUTHORITY_VARIABLE, INFO_VARIABLE, SessionInfo
from .desktop import Desktop
from .lean import import_server
from .live import LiveInfo


def import_all() -> None:
    """Import and look up all that a session's server starts with and that is the same whoever's it is."""
    import_server()
    if AUTHORITY_VARIABLE in os.environ or INFO_VARIABLE not in os.environ:
        # A session that waits for its person does not know yet whether it will want it.
        from . import encryption  # noqa: F401
    from .singleuser import proxies_installed

    proxies_installed(group="jupyter_serverproxy_servers")


def serve(info: SessionInfo, socket: sockets.socket, runtime: Path, token: str) -> int:
    """Run the server on a bound socket until it is told to stop; its exit code.

    `token` is what proves to the hub that this is its session.
    """
    info = LiveInfo(info)
    desktop = Desktop(info, runtime)
    if info.interface == "desktop":
        desktop.start()  # it comes up beside the imports below
    import_all()
    from .singleuser import run

    return run(info, socket, desktop, token)
