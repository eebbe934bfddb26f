"""The desktop's stream: a websocket on the browser's side, the VNC server's unix socket on the other.

Built on jupyter-server-proxy's raw socket handler. The relay itself answers the VNC server's password
challenge, by the role of who connected: full control or watching only. So the passwords never leave this
process, and it is the VNC server that ignores a viewer's mouse and keyboard.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from jupyter_server_proxy.rawsocket import RawSocketHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError

from . import rfb
from .desktop import RUNNING, Desktop
from .roles import CONTROLS_DESKTOP

#: Bytes read from the VNC server ahead of what the browser has taken: beyond it the server waits.
READ_AHEAD = 256 * 1024
#: Seconds for each side's handshake, and for the desktop to come up.
HANDSHAKE_LIMIT, DESKTOP_LIMIT = 10.0, 30.0
#: Seconds between the pings that keep proxies from closing a quiet desktop.
PING_EVERY = 25

#: Why a stream was closed, in the range the websocket protocol leaves to applications.
CLOSE_FAILED, CLOSE_ENDED, CLOSE_PROTOCOL = 4500, 4501, 4400


class DesktopSocket(RawSocketHandler):
    """One browser's view of the desktop.

    That only pages of this very server connect is checked by Jupyter's own `check_origin`.
    """

    SUPPORTED_METHODS = ("GET",)
    #: Control is a matter of the password at the beginning: who may do more begins anew.
    anew_when_raised = True
    name = "desktop"
    port = 0
    unix_socket = ""  # the parent's: a stream of bytes, not a port

    def initialize(self, desktop: Desktop):
        """Called by Tornado for each request."""
        self.desktop = desktop
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.pump: asyncio.Task | None = None
        self.greeting: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        self.stream = rfb.ClientStream()
        self.spliced = False

    @property
    def ping_interval(self):
        """Tornado's own pings; a browser that answers none of them is gone."""
        return PING_EVERY

    def select_subprotocol(self, subprotocols):
        """noVNC asks for `binary` or for nothing."""
        return "binary" if "binary" in subprotocols else None

    async def http_get(self, *args):
        """A plain request: there is nothing to read here."""
        raise HTTPError(426, "a websocket is spoken here")

    async def open(self, *args):
        """Start the desktop if need be, and connect to it."""
        self.set_nodelay(True)
        self.stream.watching = self.visa_role not in CONTROLS_DESKTOP
        self.pump = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        code, words = CLOSE_ENDED, "The desktop has ended."
        try:
            await self._reach_desktop()
            async with asyncio.timeout(HANDSHAKE_LIMIT):
                await self._greet_server()
                await self._greet_browser()
            await self._pass_frames()
            words = self.desktop.words or words
        except (OSError, TimeoutError, EOFError, rfb.ProtocolError) as error:
            code = CLOSE_FAILED
            words = str(error) or "The desktop does not answer."
            self.log.warning("desktop: the stream of %s failed: %s", self._who(), words)
        except (WebSocketClosedError, StreamClosedError):
            return
        finally:
            self._disconnect()
        # A reason has 123 bytes at most.
        self.close(code, words.encode()[:120].decode(errors="ignore"))

    async def _reach_desktop(self) -> None:
        self.desktop.start()
        await asyncio.to_thread(self.desktop.settled.wait, DESKTOP_LIMIT)
        if self.desktop.state != RUNNING:
            raise EOFError(self.desktop.words or "The desktop is not up yet.")
        self.reader, self.writer = await asyncio.open_unix_connection(
            str(self.desktop.socket), limit=READ_AHEAD
        )

    async def _greet_server(self) -> None:
        """The VNC server's handshake, with the password of this person's role."""
        version = await self.reader.readexactly(12)
        if not version.startswith(b"RFB 003."):
            raise rfb.ProtocolError("the VNC server speaks something else")
        self.writer.write(rfb.VERSION)
        count = (await self.reader.readexactly(1))[0]
        if rfb.SECURITY_VNC not in await self.reader.readexactly(count):
            raise rfb.ProtocolError("the VNC server asks for no password")
        self.writer.write(bytes([rfb.SECURITY_VNC]))
        challenge = await self.reader.readexactly(16)
        password = self.desktop.password(control=self.visa_role in CONTROLS_DESKTOP)
        self.writer.write(rfb.answer_challenge(password, challenge))
        if await self.reader.readexactly(4) != bytes(4):
            raise rfb.ProtocolError("the VNC server refused the password")

    async def _greet_browser(self) -> None:
        """Our own handshake with the browser: it is logged in already, so no password is asked for."""
        self.write_message(rfb.VERSION, binary=True)
        await self._from_browser(12)
        self.write_message(bytes([1, rfb.SECURITY_NONE]), binary=True)
        if await self._from_browser(1) != bytes([rfb.SECURITY_NONE]):
            raise rfb.ProtocolError("the browser chose a security type that was not offered")
        self.write_message(bytes(4), binary=True)
        await self._from_browser(1)  # whether to share the screen: it is shared
        self.writer.write(b"\1")
        early = self._rest
        while not self.greeting.empty():
            early += self.greeting.get_nowait()
        self.spliced = True
        await self.on_message(early)

    _rest = b""

    async def _from_browser(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._rest += await self.greeting.get()
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    async def _pass_frames(self) -> None:
        """Each piece is waited for until the browser's connection took it, so a slow one slows the server.

        A picture comes in a score of pieces, so they are framed here and handed to the connection itself:
        `write_message` takes a task for each, three times as long as all the rest of it.
        """
        while piece := await self.reader.read(READ_AHEAD):
            if self.ws_connection is None:
                raise WebSocketClosedError
            taken = self.ws_connection.stream.write(rfb.websocket_head(len(piece)) + piece)
            if not taken.done():
                await taken

    async def on_message(self, message):
        """What the browser sends; Tornado reads on when this is done, so a slow server slows the browser."""
        if isinstance(message, str):
            self.close(CLOSE_PROTOCOL, "text is not understood here")
            return
        if not self.spliced:
            if self.greeting.full():
                self.close(CLOSE_PROTOCOL, "too much before the handshake")
                return
            self.greeting.put_nowait(message)
            return
        try:
            passed, active = self.stream.take(message)
        except rfb.ProtocolError as error:
            self.close(CLOSE_PROTOCOL, f"not understood: {error}"[:100])
            self._disconnect()
            return
        if active and self.visa_role in CONTROLS_DESKTOP:
            # Frames flow by themselves; only a person's doing keeps a session from being idle.
            self.settings.setdefault("last_activity_times", {})["visa-desktop"] = datetime.now(UTC)
        if passed and self.writer is not None and not self.writer.is_closing():
            self.writer.write(passed)
            try:
                await self.writer.drain()
            except OSError:
                self._disconnect()  # the VNC server is gone: reading from it ends too, and says so

    def on_ping(self, data):
        """Nothing to do: Tornado answers."""

    def on_close(self):
        """The browser went away: so does its connection to the VNC server."""
        if self.pump is not None:
            self.pump.cancel()
        self._disconnect()

    def _disconnect(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _who(self) -> str:
        return self.current_user.username if self.current_user else "nobody"
