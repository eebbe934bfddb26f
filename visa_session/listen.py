"""The address a session listens on, taken before anything slow happens so that nobody else gets it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from .checks import NotFit
from .contract import EXIT_BAD_INFO


def service_address(environment: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Host and port of JUPYTERHUB_SERVICE_URL; port 0 where it names none: any free one will do.

    Raises NotFit when there is no such address.
    """
    url = environment.get("JUPYTERHUB_SERVICE_URL", "")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise NotFit(EXIT_BAD_INFO, f"JUPYTERHUB_SERVICE_URL is not an address: {error}.") from error
    if parts.scheme != "http":
        raise NotFit(EXIT_BAD_INFO, "JUPYTERHUB_SERVICE_URL must begin with http://.")
    return host, port


def take_socket(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet; an empty host is every address of this machine.

    Raises NotFit when the address is taken or not ours.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, family=_family(host)
        )
        family, kind, protocol, _, address = found[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.setblocking(False)
        taken.bind(address)
    except OSError as error:
        raise NotFit(
            EXIT_BAD_INFO, f"This session cannot listen on {host or '*'}:{port}: {error.strerror}."
        ) from error
    return taken


def _family(host: str) -> socket.AddressFamily:
    """Both protocols for "every address", where the machine has IPv6; what the host says otherwise."""
    if host:
        return socket.AF_UNSPEC
    return socket.AF_INET6 if os.path.exists("/proc/net/if_inet6") else socket.AF_INET
