"""Where a request came from, as far as the proxies in front of us tell and nobody else can make up."""

from __future__ import annotations

from ipaddress import ip_address

from tornado.httputil import HTTPServerRequest


def address_of(request: HTTPServerRequest) -> str:
    """The browser's address; "" where there is none, as on a unix socket.

    Each proxy adds whom it heard to the end of `X-Forwarded-For`; before that may stand anything. A server
    of this machine in front, or one that is trusted (`trusted_downstream_ips`), is passed over.
    Tornado's own `remote_ip` is not asked: it believes `X-Real-Ip`, which a browser may send and no proxy of
    ours takes away.
    """
    context = getattr(request.connection, "context", None)
    trusted = getattr(context, "trusted_downstream", ()) or ()
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    if not hops:
        return getattr(context, "_orig_remote_ip", None) or request.remote_ip or ""
    found = ""
    for hop in reversed(hops):
        try:
            address = ip_address(hop)
        except ValueError:
            break
        found = hop
        if not address.is_loopback and hop not in trusted:
            break
    return found or getattr(context, "_orig_remote_ip", None) or ""
