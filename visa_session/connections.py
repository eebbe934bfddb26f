"""Every request that got past the gate, with its person, until it is over: so that it can be cut.

A membership that ends, or a role that goes down, must end what is already under way too: a terminal, a
kernel's channels, a shared document, the desktop, a download.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tornado.iostream import IOStream
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from .address import address_of
from .roles import RANK, Role

log = logging.getLogger("visa")

#: How a socket is closed, in the range the websocket protocol leaves to applications.
CLOSE_ACCESS_ENDED, CLOSE_ROLE_CHANGED = 4403, 4409
WORDS = {
    CLOSE_ACCESS_ENDED: "Your access to this session has ended.",
    CLOSE_ROLE_CHANGED: "What you may do here has changed.",
}
#: Seconds a socket has for the closing handshake before its connection is cut.
CLOSING = 0.15
#: Seconds between two looks whether an answer has gone out to a slow reader.
LOOK_AGAIN = 0.2


@dataclass(eq=False)
class Open:
    """One request under way: whose, as what, from where, and the connection it came by.

    `lasting` is what makes somebody present: a websocket, or a stream of news. A handler may have `end()`,
    which ends its answer in order and at once, and `anew_when_raised`: it is to be opened anew also when its
    person may do more.
    """

    handler: RequestHandler
    stream: IOStream | None
    name: str
    role: Role
    address: str
    lasting: bool = False
    cut: bool = field(default=False)


class Connections:
    """What is open in this session. `role_of` answers with the role of an account at this moment.

    `came` and `went` are called with what became lasting and with what of it has ended.
    """

    def __init__(self, role_of: Callable[[str], Role | None]):
        self.role_of = role_of
        self.came: Callable[[Open], None] = lambda open: None
        self.went: Callable[[Open], None] = lambda open: None
        self._open: dict[RequestHandler, Open] = {}
        self._tasks: set[asyncio.Task] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, handler: RequestHandler, name: str, role: Role) -> None:
        """A request that was let through, in the same step in which it was."""
        stream = getattr(handler.request.connection, "stream", None)
        self._open[handler] = Open(handler, stream, name, role, address_of(handler.request))

    def lasts(self, handler: RequestHandler) -> None:
        """The request became a socket, or a stream that stays: its person is present."""
        found = self._open.get(handler)
        if found is not None and not found.lasting:
            found.lasting = True
            self.came(found)

    def done(self, handler: RequestHandler) -> None:
        """The handler has returned; a socket, or an answer still on its way, stays known until it is over."""
        found = self._open.get(handler)
        if found is None:
            return
        stream = found.stream
        if stream is None or stream.closed():
            self.remove(handler)
        elif isinstance(handler, WebSocketHandler) and handler.ws_connection is not None:
            return  # its `on_connection_close` says when
        elif stream.writing():
            self._run(self._when_written(handler, stream))
        else:
            self.remove(handler)

    def remove(self, handler: RequestHandler) -> None:
        """It is over."""
        found = self._open.pop(handler, None)
        if found is not None and found.lasting:
            self.went(found)

    def settle(self) -> None:
        """Cut whatever its person would not be let through with any more, as it was opened."""
        for found in list(self._open.values()):
            role = self.role_of(found.name)
            up = RANK[role] > RANK[found.role]
            if RANK[role] < RANK[found.role] or (up and getattr(found.handler, "anew_when_raised", False)):
                self._cut(found, CLOSE_ACCESS_ENDED if role is None else CLOSE_ROLE_CHANGED)

    def _cut(self, found: Open, code: int) -> None:
        if found.cut:
            return
        found.cut = True
        log.info("Cutting %s's %s: %s", found.name, found.handler.request.path, WORDS[code])
        handler = found.handler
        if isinstance(handler, WebSocketHandler) and handler.ws_connection is not None:
            # What still arrives is not acted upon, whatever the other side makes of the close frame.
            handler.on_message = _unheard
            try:
                handler.close(code, WORDS[code])
            except (WebSocketClosedError, OSError, RuntimeError):
                pass
            self._run(self._close_soon(found))
        elif hasattr(handler, "end"):
            handler.end()
            self._run(self._close_soon(found))
        else:
            self._close(found)

    async def _close_soon(self, found: Open) -> None:
        await asyncio.sleep(CLOSING)
        self._close(found)

    def _close(self, found: Open) -> None:
        stream = found.stream
        if stream is not None and not stream.closed():
            # What still waits in the kernel for a slow reader is not sent any more.
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
        self.remove(found.handler)

    async def _when_written(self, handler: RequestHandler, stream: IOStream) -> None:
        while not stream.closed() and stream.writing():  # noqa: ASYNC110 - Tornado tells nobody when
            await asyncio.sleep(LOOK_AGAIN)
        self.remove(handler)

    def _run(self, what) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unheard(message) -> None:
    """Takes the place of a socket's `on_message` once its person may not be heard any more."""
