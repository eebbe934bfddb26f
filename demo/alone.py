"""One demo on a run folder, and one on a port: a second would take the first one's sessions for leftovers.

What a demo makes on this machine goes by its port: the label of its containers, the cluster's folder, pinned
data, lent accounts. So the port is held before anything of an earlier demo is removed.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .site import Site

#: Seconds until what a killed demo left has ended: its parts are told to when it dies.
PATIENCE = 10


@contextmanager
def held(site: Site, patience: float = PATIENCE) -> Iterator[None]:
    """Hold run folder and port while inside, with every port of the site free at the beginning.

    Raises SystemExit with what is in the way and what to set. Needs the run folder.
    """
    with _folder(site), port(site):
        _until_free(site, patience)
        yield


@contextmanager
def _folder(site: Site) -> Iterator[None]:
    with open(os.open(site.run / "lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"Another demo runs on {site.run}: stop that one first, or set VISA_DEMO_RUN"
            ) from None
        yield


@contextmanager
def port(site: Site) -> Iterator[None]:
    """Hold a site's port while inside. Raises SystemExit where a demo runs on it."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            # A name among the machine's sockets: gone with the process, and no file is left.
            lock.bind(f"\0visa-{site.hub_id}")
        except OSError:
            raise SystemExit(
                f"Another demo runs on port {site.port}: stop that one first, or set VISA_DEMO_PORT "
                "(and VISA_DEMO_RUN) for a second one"
            ) from None
        yield


def _until_free(site: Site, patience: float) -> None:
    end = time.monotonic() + patience
    while taken := [port for port in site.ports if not _free(port)]:
        if time.monotonic() >= end:
            raise SystemExit(
                f"Port {taken[0]} is taken by something else. The demo needs {_words(site.ports)}: stop what "
                "is there, or set VISA_DEMO_PORT to another first port"
            )
        time.sleep(0.2)  # nothing tells when a port is let go


def _free(port: int) -> bool:
    """Whether nothing listens on a port, at any address of this machine: `localhost` may be of both kinds."""
    families = [socket.AF_INET, socket.AF_INET6] if socket.has_dualstack_ipv6() else [socket.AF_INET]
    try:
        for family in families:
            # What a connection of before has left, and nobody listens on, is no obstacle to this.
            socket.create_server(("", port), family=family).close()
    except OSError:
        return False
    return True


def _words(ports: tuple[int, ...]) -> str:
    """As in `8000 to 8004 and 8010 to 8015`."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and port == runs[-1][-1] + 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return " and ".join(f"{run[0]} to {run[-1]}" for run in runs)
