"""Where a request came from, as far as the proxies in front of us tell and nobody else can make up."""

from __future__ import annotations

import os
from ipaddress import ip_address

from tornado.httputil import HTTPServerRequest

from .contract import TRUSTED_VARIABLE


def address_of(request: HTTPServerRequest, near: bool = False) -> str:
    """The browser's address; "" where there is none, as on a unix socket.

    Each proxy adds whom it heard to the end of `X-Forwarded-For`; before that may stand anything. What is
    named in `TRUSTED_VARIABLE` is passed over. Not by `remote_ip` of Tornado, which believes `X-Real-Ip`:
    that a browser may send, and no proxy of ours takes it away.

    `near`: believe no proxy but one of this machine or one that is named. For hub and portal, which whoever
    is in a session may reach past the proxy; a session itself does not know where its proxy stands.
    """
    trusted = {one.strip() for one in os.environ.get(TRUSTED_VARIABLE, "").split(",")} - {""}
    context = getattr(request.connection, "context", None)
    found = getattr(context, "_orig_remote_ip", None) or ""
    if near and found not in trusted and not _is_here(request, found):
        return found
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        try:
            found = str(ip_address(hop.strip()))
        except ValueError:
            break
        if found not in trusted:
            break
    return found


def _is_here(request: HTTPServerRequest, peer: str) -> bool:
    """Whether a peer is this machine itself: by the loopback, or by the address that it was called at."""
    try:
        if ip_address(peer).is_loopback or ip_address(peer).is_unspecified:
            return True  # what Tornado says of a unix socket is 0.0.0.0
        return request.connection.stream.socket.getsockname()[0] == peer
    except (AttributeError, ValueError, OSError):
        return False
