"""A VNC client written out by hand, over the session's websocket: what a page does, and what none would."""

from __future__ import annotations

import asyncio
import struct
import zlib

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from .hubside import Session

EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE, RAW, EXTENDED_CLIPBOARD = -308, -223, 0, -1063131698


class Closed(Exception):
    """The other side closed the stream; `code` and `reason` are the websocket's."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Viewer:
    """One connection to a session's desktop."""

    def __init__(self, socket: WebSocketClientConnection):
        self.socket, self.waiting = socket, b""

    @classmethod
    async def connect(cls, session: Session, token: str | None = None, **headers: str) -> Viewer:
        """Open the socket; raises tornado's HTTPClientError when refused."""
        address = session.url.replace("http:", "ws:") + "desktop/socket"
        if token != "":
            headers["Authorization"] = f"token {token or session.token}"
        return cls(await websocket_connect(HTTPRequest(address, headers=headers, request_timeout=30)))

    @classmethod
    async def open(cls, session: Session, token: str | None = None, shared: int = 1) -> Viewer:
        """Connect and go through the whole handshake."""
        viewer = await cls.connect(session, token)
        await viewer.handshake(shared)
        return viewer

    async def handshake(self, shared: int = 1) -> None:
        assert await self.read(12) == b"RFB 003.008\n"
        self.write(b"RFB 003.008\n")
        types = await self.read((await self.read(1))[0])
        assert types == b"\1", "the browser is asked for no password"
        self.write(b"\1")
        assert await self.read(4) == bytes(4)
        self.write(bytes([shared]))
        self.width, self.height = struct.unpack(">HH", await self.read(4))
        await self.read(16)
        self.name = await self.read(struct.unpack(">I", await self.read(4))[0])

    def write(self, data: bytes) -> None:
        self.socket.write_message(data, binary=True)

    async def read(self, count: int, seconds: float = 15) -> bytes:
        while len(self.waiting) < count:
            message = await asyncio.wait_for(self.socket.read_message(), seconds)
            if message is None:
                raise Closed(self.socket.close_code, self.socket.close_reason)
            self.waiting += message
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    async def arrives(self, seconds: float = 1.0) -> int:
        """Bytes that come within a time."""
        count, self.waiting = len(self.waiting), b""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                message = await asyncio.wait_for(self.socket.read_message(), left)
            except TimeoutError:
                break
            if message is None:
                raise Closed(self.socket.close_code, self.socket.close_reason)
            count += len(message)
        return count

    async def told_without_frames(self, seconds: float = 1.0) -> bytes:
        """What the server sends to somebody who asks for no pictures: the clipboard, bells."""
        told, self.waiting = self.waiting, b""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                told += await asyncio.wait_for(self.socket.read_message(), left) or b""
            except TimeoutError:
                break
        return told

    async def closed(self, seconds: float = 10) -> Closed:
        """How the stream is closed, once it is."""
        try:
            await self.arrives(seconds)
        except Closed as how:
            return how
        raise AssertionError("the stream was not closed")

    def encodings(self, *wanted: int) -> None:
        self.write(struct.pack(f">BxH{len(wanted)}i", 2, len(wanted), *wanted))

    def ask(self, incremental: int = 1) -> None:
        self.write(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    async def sees(self, *encodings: int) -> bool:
        """Whether the whole screen comes, in raw pixels."""
        self.encodings(RAW, *encodings)
        count = 0
        for incremental in (0, 1, 1):  # the first answer may carry no more than the screen's size
            self.ask(incremental)
            count += await self.arrives(0.7)
            if count > 3 * self.width * self.height:
                return True
        return False

    def point(self, x: int, y: int, buttons: int = 0) -> None:
        self.write(struct.pack(">BBHH", 5, buttons, x, y))

    def key(self, letter: str) -> None:
        for down in (1, 0):
            self.write(struct.pack(">BBxxI", 4, down, ord(letter)))

    def resize(self, width: int, height: int) -> None:
        self.write(
            struct.pack(">BxHHBx", 251, width, height, 1) + struct.pack(">IHHHHI", 0, 0, 0, width, height, 0)
        )

    def cut(self, text: bytes) -> None:
        """The clipboard's text, as the protocol had it at first."""
        self.write(struct.pack(">BxxxI", 6, len(text)) + text)

    def cut_extended(self, text: bytes) -> None:
        """And as it has it since: what one has, then the text itself, packed."""
        notify = struct.pack(">I", 1 << 27 | 1)
        packed = zlib.compress(struct.pack(">I", len(text) + 1) + text + b"\0")
        provide = struct.pack(">I", 1 << 28 | 1) + packed
        for body in (notify, provide):
            self.write(struct.pack(">Bxxxi", 6, -len(body)) + body)

    def close(self) -> None:
        self.socket.close()
