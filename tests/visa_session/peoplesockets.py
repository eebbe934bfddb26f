"""All the kinds of sockets that a person can hold in a session, opened for real, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from .hubside import Session, later
from .viewer import Closed, Viewer
from .watcher import Watcher


class Echo(WebSocketHandler):
    """A program inside a session that speaks websocket."""

    def on_message(self, message):
        self.write_message(message)


class Endless(RequestHandler):
    """And one that sends without end: a long download."""

    async def get(self):
        with suppress(Exception):
            while True:
                self.write(b"x" * 1024)
                await self.flush()
                await asyncio.sleep(0.05)


class Programs:
    """Serves both on a port of this machine."""

    def __init__(self):
        [socket] = bind_sockets(0, "127.0.0.1")
        self.port = socket.getsockname()[1]
        self.server = HTTPServer(Application([("/socket", Echo), ("/endless", Endless)]))
        self.server.add_socket(socket)


class Socket:
    """One websocket through the proxy, as a browser has it."""

    def __init__(self, name: str, connection):
        self.name, self.connection, self.code, self.ended = name, connection, None, None
        self.task = asyncio.create_task(self._read())
        self.heard = asyncio.Queue()

    @classmethod
    async def open(cls, session: Session, path: str, token: str) -> Socket:
        url = session.url.replace("http:", "ws:") + path
        headers = {"Authorization": f"token {token}"}
        return cls(path, await websocket_connect(HTTPRequest(url, headers=headers, request_timeout=30)))

    async def _read(self) -> None:
        while (message := await self.connection.read_message()) is not None:
            self.heard.put_nowait(message)
        self.code, self.ended = self.connection.close_code, time.monotonic()

    def close(self) -> None:
        self.connection.close()


class Stream:
    """One endless HTTP answer: news, or a download."""

    def __init__(self, session: Session, path: str, token: str, accept: str = "*/*", pause: float = 0.0):
        # Past the proxy: it would hold an answer that broke off open towards its reader.
        self.name, self.code, self.ended = path, None, None
        self.accept, self.pause = accept, pause
        self.url, self.token = (session.direct if pause else session.url) + path, token
        self.lines: list[dict] = []
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        waiting = b""
        headers = {"Authorization": f"token {self.token}", "Accept": self.accept}
        try:
            async with httpx.AsyncClient(timeout=60) as client:
                async with client.stream("GET", self.url, headers=headers) as answer:
                    self.code = answer.status_code
                    async for piece in answer.aiter_bytes():
                        self.begun.set()
                        await asyncio.sleep(self.pause)
                        if self.pause:
                            continue
                        *lines, waiting = (waiting + piece).split(b"\n")
                        self.lines += [json.loads(line) for line in lines if line.strip()]
        except httpx.HTTPError:
            pass
        finally:
            self.ended = time.monotonic()
            self.begun.set()

    async def becomes(self, true, seconds: float = 5.0) -> dict:
        """The first object of which something is true; those before it are forgotten."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while self.lines:
                if true(self.lines[0]):
                    return self.lines[0]
                self.lines.pop(0)
            await asyncio.sleep(0.02)
        raise AssertionError(f"no such news of {self.name}")

    def close(self) -> None:
        self.task.cancel()


class Download:
    """A file read more slowly than it is sent: the answer is written, and yet under way."""

    def __init__(self, session: Session, path: str, token: str):
        self.name, self.code, self.ended, self.begun = path, None, None, asyncio.Event()
        url = urlsplit(session.direct + path)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.socket.connect((url.hostname, url.port))
        self.socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {token}\r\n\r\n".encode()
        )
        self.socket.setblocking(False)
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(OSError):
            while piece := await asyncio.get_running_loop().sock_recv(self.socket, 4096):
                self.code = self.code or int(piece.split()[1])
                self.begun.set()
                await asyncio.sleep(0.1)
        self.ended = time.monotonic()

    def close(self) -> None:
        self.task.cancel()
        self.socket.close()


class Watching(Socket):
    """A desktop's stream, from which frames are taken."""

    def __init__(self, viewer: Viewer):
        self.viewer = viewer
        self.name, self.code, self.ended, self.bytes = "desktop/socket", None, None, 0
        self.task = asyncio.create_task(self._frames())

    async def _frames(self) -> None:
        self.viewer.encodings(0)
        try:
            while True:
                self.viewer.ask(0)
                self.bytes += await self.viewer.arrives(0.2)
        except (Closed, WebSocketClosedError):  # found out by reading, or by asking for more
            self.code, self.ended = self.viewer.socket.close_code, time.monotonic()

    def close(self) -> None:
        self.viewer.close()


class Pictures(Socket):
    """The desktop's video stream."""

    def __init__(self, watcher: Watcher):
        self.watcher = watcher
        self.name, self.code, self.ended = "visa/stream/socket", None, None
        self.task = asyncio.create_task(self._pictures())

    async def _pictures(self) -> None:
        try:
            while True:
                await self.watcher.hear()
        except Closed as how:
            self.code, self.ended = how.code, time.monotonic()

    def close(self) -> None:
        self.watcher.close()


async def everything(session: Session, token: str, programs: Programs) -> list:
    """One of each kind that a collaborator can hold."""
    kernel, terminal = await later(kernel_and_terminal, session, token)
    room = await later(room_of, session, token)
    return [
        await Socket.open(session, f"api/kernels/{kernel}/channels", token),
        await Socket.open(session, f"terminals/websocket/{terminal}", token),
        await Socket.open(session, f"api/collaboration/room/{room}", token),
        await Socket.open(session, "api/events/subscribe", token),
        await Socket.open(session, f"proxy/{programs.port}/socket", token),
        *await what_a_viewer_holds(session, token),
        await started(
            Stream(session, f"proxy/{programs.port}/endless", token, accept="text/event-stream", pause=0.01)
        ),
        await started(Download(session, f"files{await later(big_file, session)}", token)),
    ]


async def what_a_viewer_holds(session: Session, token: str) -> list:
    watcher = await Watcher.connect(session, token)
    await watcher.sees()
    return [
        Watching(await Viewer.open(session, token)),
        Pictures(watcher),
        await started(Stream(session, "visa/news", token)),
    ]


async def started(stream: Stream) -> Stream:
    await asyncio.wait_for(stream.begun.wait(), 40)
    assert stream.code == 200, (stream.name, stream.code)
    return stream


def kernel_and_terminal(session: Session, token: str) -> tuple[str, str]:
    """Those there are, or new ones."""
    kernels = session.get("api/kernels", token).json()
    terminals = session.get("api/terminals", token).json()
    if not kernels:
        kernels = [session.get("api/kernels", token, "POST", json={"name": "python3"}).json()]
    if not terminals:
        terminals = [session.get("api/terminals", token, "POST").json()]
    return kernels[0]["id"], terminals[0]["name"]


def big_file(session: Session) -> str:
    """A file that takes its reader long."""
    path = Path(session.get("visa/session").json()["home"]) / "big"
    if not path.exists():
        path.touch()
        os.truncate(path, 100 * 1024 * 1024)
        path.chmod(0o644)
    return str(path)


def room_of(session: Session, token: str) -> str:
    """A shared document's room, and the session id that goes with it."""
    home = session.get("visa/session").json()["home"].strip("/")
    path = f"{home}/shared.txt"
    body = {"type": "file", "format": "text", "content": "hello"}
    session.get(f"api/contents/{path}", token, "PUT", json=body).raise_for_status()
    opened = session.get(
        f"api/collaboration/session/{path}", token, "PUT", json={"format": "text", "type": "file"}
    )
    opened.raise_for_status()
    about = opened.json()
    return f"{about['format']}:{about['type']}:{about['fileId']}?sessionId={about['sessionId']}"


async def ended(sockets: list, seconds: float = 40.0) -> float:
    """When the last of them ended, on the monotonic clock."""
    deadline = time.monotonic() + seconds
    while left := [socket.name for socket in sockets if socket.ended is None]:
        assert time.monotonic() < deadline, f"still open: {left}"
        await asyncio.sleep(0.01)
    return max(socket.ended for socket in sockets)
