"""Whether whoever asked has given up: a hub that is behind must not work for them, or it never catches up."""

from __future__ import annotations

import socket

from tornado.httputil import HTTPServerRequest


def has_gone(request: HTTPServerRequest) -> bool:
    """Whether the other end has closed its connection, as far as the kernel knows."""
    stream = getattr(request.connection, "stream", None)
    if stream is None:
        return False
    if stream.closed():
        return True
    try:
        return stream.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except (OSError, ValueError):
        # Nothing can be said of it, as with TLS, or it is broken off, which the answer will show.
        return False
