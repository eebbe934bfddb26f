"""The video stream's websocket: pictures from selkies to a browser, as somebody who watches.

The gate, the table of roles, the end within a second and who is in are those of every socket of the session.
Pings go from end to end: selkies sends them behind its pictures and skips pictures for whoever answers late,
so that they do not pile up before a thin line.
"""

from __future__ import annotations

import asyncio

import aiohttp
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ..relay import CLOSE_ENDED, CLOSE_FAILED, CLOSE_PROTOCOL
from ..rfb import websocket_head
from ..roles import CONTROLS_DESKTOP
from . import messages
from .process import StreamFailed, StreamProcess
from .viewers import Crowded, Viewers

#: As `relay.py` has them, and: the screen has another size, come again; too many watch, or too often anew.
CLOSE_RESIZED, CLOSE_CROWDED = 4502, 4503
#: How a message of selkies' begins that is a picture; no other bytes are passed on.
PICTURE = b"\x04"
#: Bytes of the longest message taken from a browser, which has a few words to say.
LONGEST = 1024


class StreamSocket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One browser's view of the stream.

    That only pages of this very server connect is checked by Jupyter's own `check_origin`.
    """

    def initialize(self, process: StreamProcess, viewers: Viewers):
        """Called by Tornado for each request."""
        self.process, self.viewers = process, viewers
        self.pump: asyncio.Task | None = None
        self.selkies: aiohttp.ClientWebSocketResponse | None = None
        self.said, self.pongs = messages.Said(), messages.Budget(messages.MOST_PONGS)

    @property
    def ping_interval(self):
        """None of our own: selkies' are passed on."""
        return None

    ping_timeout = None

    @property
    def max_message_size(self):
        """Tornado closes the socket over a longer one."""
        return LONGEST

    async def get(self, *args, **others):
        """Only a websocket is spoken here."""
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise HTTPError(426, "a websocket is spoken here")
        await super().get(*args, **others)

    async def open(self, *args):
        """Start the stream if need be, and connect to it."""
        self.set_nodelay(True)
        self.pump = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        code, words = CLOSE_FAILED, "The video stream does not answer."
        try:
            with self.viewers.place(self._who(), asyncio.get_running_loop().time()):
                async with self.process.watched(), self.viewers.connected() as self.selkies:
                    self.process.pace.comes(self, acts=self.visa_role in CONTROLS_DESKTOP)
                    await self._pass_pictures()
            code, words = await self._why()
        except Crowded as error:
            code, words = CLOSE_CROWDED, str(error)
        except StreamFailed as error:
            code, words = CLOSE_FAILED, str(error)
            self.log.warning("stream: none for %s: %s", self._who(), words)
        except (aiohttp.ClientError, OSError, TimeoutError):
            code, words = await self._why()
        except (WebSocketClosedError, StreamClosedError):
            return
        finally:
            self.selkies = None
            self.process.pace.gone(self)
        self.close(code, words.encode()[:120].decode(errors="ignore"))

    async def _why(self) -> tuple[int, str]:
        """Why selkies closed, told by how its process ended, a moment later."""
        try:
            async with asyncio.timeout(1):
                await self.process.ended.wait()
        except TimeoutError:
            return CLOSE_FAILED, "The video stream has stopped."
        if self.process.resized:
            return CLOSE_RESIZED, self.process.words
        return (CLOSE_FAILED if self.process.failed else CLOSE_ENDED), self.process.words

    async def _pass_pictures(self) -> None:
        """Each piece is waited for until the browser's connection took it, so a slow one slows selkies."""
        async for message in self.selkies:
            if self.ws_connection is None:
                raise WebSocketClosedError
            if message.type is aiohttp.WSMsgType.BINARY and message.data[:1] == PICTURE:
                # Framed here: `write_message` takes a task for each (see the VNC relay).
                taken = self.ws_connection.stream.write(websocket_head(len(message.data)) + message.data)
                if not taken.done():
                    await taken
            elif message.type is aiohttp.WSMsgType.PING:
                self.ping(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                if message.data == messages.GREETING:
                    await self.selkies.send_str(messages.SETTINGS)
                elif text := messages.to_browser(message.data):
                    await self.write_message(text)

    async def on_message(self, message):
        """What the browser says: one of a few words, or nothing that counts."""
        if isinstance(message, bytes):
            self.close(CLOSE_PROTOCOL, "only words are understood here")
            return
        if self.selkies is None:
            return
        now = asyncio.get_running_loop().time()
        if (rate := self.said.pace(message, now)) is not None:
            self.process.pace.takes(self, rate)
        elif word := self.said.to_selkies(message, now):
            await self._tell(self.selkies.send_str(word))

    async def on_pong(self, data):
        """The browser's answer to a ping of selkies'."""
        if self.selkies is not None and self.pongs.takes(asyncio.get_running_loop().time()):
            await self._tell(self.selkies.pong(data))

    async def _tell(self, sending) -> None:
        try:
            await sending
        except (aiohttp.ClientError, OSError):
            pass  # it has ended: reading from it says so

    def on_close(self):
        """The browser went away: so does its connection to selkies."""
        if self.pump is not None:
            self.pump.cancel()

    def _who(self) -> str:
        return self.current_user.username if self.current_user else "nobody"
