"""Somebody who watches the video stream: a client by hand, through the session or straight at selkies."""

from __future__ import annotations

import asyncio

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from .hubside import Session
from .viewer import Closed

#: What selkies has for mouse, keyboard, clipboard, sizes, settings, programs, files and the rest, by hand.
HOSTILE = (
    *("m,11,22,0,0", "m,11,22,1,0", "m,11,22,0,0", "m2,40,40,1,0", "kd,120", "ku,120", "kr", "co,end,typed"),
    *(
        "cw,bWluZQ==",
        "cws,1,4",
        "cwd,1,bWluZQ==",
        "cwe,1",
        "cb,text/plain,bWluZQ==",
        "cr",
        "REQUEST_CLIPBOARD",
    ),
    *(
        "r,800x600",
        "s,192",
        "cmd,touch /tmp/visa-stream-cmd",
        "js,c,0,cGFk,4,4",
        "_arg_fps,1",
        "vb,100",
        "_crf,50",
    ),
    *(
        "SET_NATIVE_CURSOR_RENDERING,1",
        "p,1",
        "START_AUDIO",
        "STOP_AUDIO",
        "_stats_video,{}",
        "DECODE_PACE 1",
    ),
    *("CLIENT_FRAME_ACK 1", "LOST_FRAME 1", "_gz,1", "vp,0,0,1,1", "pong", "", "," * 50, "SETTINGS,[", "\0"),
    'SETTINGS,{"displayId":"primary","manual_resolution":true,"manual_width":800,"manual_height":600}',
    'SETTINGS,{"displayId":"display2","initialClientWidth":800,"initialClientHeight":600,"scaling_dpi":192}',
    'SETTINGS,{"framerate":1,"video_crf":50,"encoder":"jpeg","video_streaming_mode":true,"use_cpu":false}',
)


def is_picture(message) -> bool:
    """Whether it is an H.264 picture of selkies'."""
    return isinstance(message, bytes) and message[:1] == b"\x04"


class Watcher:
    """One connection through the session; `texts` are the words that came."""

    def __init__(self, socket: WebSocketClientConnection):
        self.socket, self.texts, self.pictures, self.bytes = socket, [], 0, 0

    @classmethod
    async def connect(cls, session: Session, token: str | None = None, **headers: str) -> Watcher:
        """Open the socket; raises tornado's HTTPClientError when refused."""
        address = session.url.replace("http:", "ws:") + "visa/stream/socket"
        if token != "":
            headers["Authorization"] = f"token {token or session.token}"
        return cls(await websocket_connect(HTTPRequest(address, headers=headers, request_timeout=30)))

    async def sees(self, count: int = 1, seconds: float = 30) -> None:
        """Wait until so many pictures have come; raises TimeoutError or Closed."""
        wanted = self.pictures + count
        async with asyncio.timeout(seconds):
            while self.pictures < wanted:
                await self.hear()

    async def sees_when_asked(self) -> None:
        """Ask for a picture, once a second as selkies takes it, until one comes."""
        for _ in range(10):
            self.say("REQUEST_KEYFRAME")
            try:
                await self.sees(seconds=1.1)
                return
            except TimeoutError:
                continue
        raise TimeoutError("no picture")

    async def hear(self) -> None:
        message = await self.socket.read_message()
        if message is None:
            raise Closed(self.socket.close_code, self.socket.close_reason)
        if is_picture(message):
            self.pictures += 1
            self.bytes += len(message)
        else:
            self.texts.append(message)

    async def closed(self, seconds: float = 15) -> Closed:
        """How it is closed, once it is."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.hear()
        except Closed as how:
            return how

    def say(self, message: str | bytes) -> None:
        self.socket.write_message(message, binary=isinstance(message, bytes))

    def close(self) -> None:
        self.socket.close()
