"""Where a request came from, as far as the proxies in front of us tell and nobody else can make up."""

from __future__ import annotations

import os
from ipaddress import ip_address

from tornado.httputil import HTTPServerRequest

from .contract import TRUSTED_VARIABLE


def address_of(request: HTTPServerRequest) -> str:
    """The browser's address; "" where there is none, as on a unix socket.

    Each proxy adds whom it heard to the end of `X-Forwarded-For`; before that may stand anything. What is
    named in `TRUSTED_VARIABLE` is passed over. Not by `remote_ip` of Tornado, which believes `X-Real-Ip`:
    that a browser may send, and no proxy of ours takes it away.
    """
    trusted = {one.strip() for one in os.environ.get(TRUSTED_VARIABLE, "").split(",")}
    context = getattr(request.connection, "context", None)
    found = getattr(context, "_orig_remote_ip", None) or ""
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        try:
            found = str(ip_address(hop.strip()))
        except ValueError:
            break
        if found not in trusted:
            break
    return found
