"""A VNC client that asks for what noVNC asks for, and looks only at what changed where and when.

It decodes nothing, so that it takes next to no time away from what is measured.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from visa_session.rfb import answer_challenge

COPY_RECT, TIGHT, RAW = 1, 7, 0
CURSOR, LAST_RECT, DESKTOP_SIZE = -239, -224, -223
FENCE, CONTINUOUS = -312, -313
QUALITY_6, COMPRESSION_2 = -26, -254
#: In noVNC's order, without what the server here never chooses.
ENCODINGS = (
    COPY_RECT,
    TIGHT,
    RAW,
    QUALITY_6,
    COMPRESSION_2,
    DESKTOP_SIZE,
    LAST_RECT,
    FENCE,
    CONTINUOUS,
    CURSOR,
)


class Gone(Exception):
    """The other side closed the connection; `at` is when that was seen."""

    def __init__(self, words: str = ""):
        super().__init__(words)
        self.at = time.perf_counter()


class Straight:
    """Bytes straight to and from the VNC server's own socket."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)

    def read(self) -> bytes:
        data = self.socket.recv(1 << 20)
        if not data:
            raise Gone
        return data

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)


class Websocket:
    """The same through a session's address: a websocket, as a browser would open it.

    Raises Gone with the status when the address refuses.
    """

    def __init__(self, url: str, token: str):
        parts = urlsplit(url)
        self.socket = socket.create_connection(("127.0.0.1", parts.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: token {token}\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            if not (piece := self.socket.recv(4096)):
                raise Gone("no answer")
            answer += piece
        head, _, rest = answer.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1].decode()
        if status != "101":
            self.socket.close()
            raise Gone(status)
        self._waiting = bytearray(rest)

    def read(self) -> bytes:
        while True:
            found = bytearray()
            while (message := self._message()) is not None:
                found += message
            if found:
                return bytes(found)
            if not (data := self.socket.recv(1 << 20)):
                raise Gone
            self._waiting += data

    def _message(self) -> bytes | None:
        """The next message that is there as a whole."""
        waiting = self._waiting
        if len(waiting) < 2:
            return None
        kind, length, head = waiting[0] & 15, waiting[1] & 127, 2
        if length >= 126:
            head = 4 if length == 126 else 10
            if len(waiting) < head:
                return None
            length = int.from_bytes(waiting[2:head], "big")
        if len(waiting) < head + length:
            return None
        body = bytes(waiting[head : head + length])
        del waiting[: head + length]
        if kind == 8:
            raise Gone(body[2:].decode(errors="replace"))
        if kind == 9:
            self._send(10, body)
            return b""
        return body if kind < 3 else b""

    def write(self, data: bytes) -> None:
        self._send(2, data)

    def _send(self, kind: int, data: bytes) -> None:
        length = len(data)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        # A mask of zeros is a mask: what a browser spends on its own is not measured here.
        self.socket.sendall(bytes([0x80 | kind]) + size + bytes(4) + data)


@dataclass(frozen=True)
class Update:
    """One picture of the screen: when it was there as a whole, and what changed."""

    at: float
    rectangles: tuple[tuple[int, int, int, int], ...]

    def shows(self, x: int, y: int) -> bool:
        return any(a <= x < a + w and b <= y < b + h for a, b, w, h in self.rectangles)

    @property
    def pixels(self) -> int:
        return sum(w * h for _, _, w, h in self.rectangles)


class Client:
    """One connection, past its handshake. `password` is for a VNC server that asks for one."""

    def __init__(self, way: Straight | Websocket, password: str = ""):
        self.way = way
        self._buffer, self._at = b"", 0
        self._updates: list[Update] = []
        self._parser = self._parse(password)
        next(self._parser)
        self.width = self.height = 0
        while not self.width:
            self.pump()

    def fileno(self) -> int:
        return self.way.socket.fileno()

    def close(self) -> None:
        self.way.socket.close()

    def pump(self) -> list[Update]:
        """Read once, answer what the server asks, and give the pictures that are complete; raises Gone."""
        data = self.way.read()
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        next(self._parser)
        found, self._updates = self._updates, []
        return found

    def press(self, x: int, y: int) -> None:
        """Press and let go the left button, in one piece."""
        self.way.write(struct.pack(">BBHHBBHH", 5, 1, x, y, 5, 0, x, y))

    def point(self, x: int, y: int) -> None:
        self.way.write(struct.pack(">BBHH", 5, 0, x, y))

    # ---- What the server says; each step waits, by yielding, until enough is there.
    def _take(self, count: int) -> Iterator[None]:
        while len(self._buffer) - self._at < count:
            yield
        taken = self._buffer[self._at : self._at + count]
        self._at += count
        return taken

    def _skip(self, count: int) -> Iterator[None]:
        while (there := len(self._buffer) - self._at) < count:
            count -= there
            self._at += there
            yield
        self._at += count

    def _parse(self, password: str) -> Iterator[None]:
        yield from self._handshake(password)
        while True:
            (kind,) = yield from self._take(1)
            if kind == 0:
                yield from self._update()
            elif kind == 3:
                head = yield from self._take(7)
                yield from self._skip(abs(int.from_bytes(head[3:], "big", signed=True)))
            elif kind == 150:  # the server can send by itself
                self.way.write(struct.pack(">BBHHHH", 150, 1, 0, 0, self.width, self.height))
            elif kind == 248:
                _, flags, length = struct.unpack(">3sIB", (yield from self._take(8)))
                payload = yield from self._take(length)
                if flags & (1 << 31):
                    self.way.write(struct.pack(">B3xIB", 248, flags & 7, length) + payload)
            elif kind != 2:
                raise Gone(f"server message {kind}")

    def _handshake(self, password: str) -> Iterator[None]:
        yield from self._take(12)
        self.way.write(b"RFB 003.008\n")
        (count,) = yield from self._take(1)
        yield from self._take(count)
        self.way.write(b"\2" if password else b"\1")
        if password:
            self.way.write(answer_challenge(password, (yield from self._take(16))))
        if (yield from self._take(4)) != bytes(4):
            raise Gone("refused")
        self.way.write(b"\1")
        head = yield from self._take(24)
        yield from self._take(int.from_bytes(head[20:], "big"))
        self.way.write(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 0, 8, 16))
        self.way.write(struct.pack(f">BxH{len(ENCODINGS)}i", 2, len(ENCODINGS), *ENCODINGS))
        width, height = struct.unpack(">HH", head[:4])
        self.way.write(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        self.width, self.height = width, height

    def _update(self) -> Iterator[None]:
        count = int.from_bytes((yield from self._take(3))[1:], "big")
        changed = []
        while count:
            count -= 1
            x, y, w, h, encoding = struct.unpack(">HHHHi", (yield from self._take(12)))
            if encoding == LAST_RECT:
                break
            if encoding == TIGHT:
                yield from self._tight(w, h)
            elif encoding == RAW:
                yield from self._skip(4 * w * h)
            elif encoding == COPY_RECT:
                yield from self._skip(4)
            elif encoding == CURSOR:
                yield from self._skip(4 * w * h + (w + 7) // 8 * h)
            if encoding in (TIGHT, RAW, COPY_RECT):
                changed.append((x, y, w, h))
        if changed:
            self._updates.append(Update(time.perf_counter(), tuple(changed)))

    def _tight(self, w: int, h: int) -> Iterator[None]:
        control = (yield from self._take(1))[0] >> 4
        if control == 8:  # one colour
            yield from self._skip(3)
            return
        if control == 9:  # JPEG
            yield from self._skip((yield from self._length()))
            return
        size = 3 * w * h
        if control & 4 and (yield from self._take(1))[0] == 1:  # a palette
            colours = (yield from self._take(1))[0] + 1
            yield from self._skip(3 * colours)
            size = (w if colours > 2 else (w + 7) // 8) * h
        yield from self._skip(size if size < 12 else (yield from self._length()))

    def _length(self) -> Iterator[None]:
        length = 0
        for shift in (0, 7, 14):
            (byte,) = yield from self._take(1)
            length |= (byte & (0x7F if shift < 14 else 0xFF)) << shift
            if not byte & 0x80 or shift == 14:
                return length
