"""What the desktop's page asks before it chooses a stream: is there one, and what does the line take."""

from __future__ import annotations

import os
import time

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError

from .process import StreamProcess
from .relay import StreamSocket
from .viewers import Viewers

#: Bytes of one answer, and what a person may ask for in a minute: bytes and answers.
LARGEST, A_MINUTE, ANSWERS = 256 * 1024, 8 * 2**20, 120


class StreamCall(APIHandler):
    """`GET visa/stream`: `{"offered": bool, "why": words}`. It starts nothing."""

    def initialize(self, process: StreamProcess):
        """Called by Tornado for each request."""
        self.process = process

    def get(self):
        """Whether there may be a video stream, and why not."""
        refusal = self.process.refusal()
        self.set_header("Cache-Control", "no-store")
        self.finish({"offered": not refusal, "why": refusal})

    def update_api_activity(self):
        """A page asks by itself: no sign that somebody works."""


class Allowance:
    """What each person has asked for in this minute."""

    def __init__(self):
        self._minute, self._asked = 0, {}

    def takes(self, person: str, count: int, now: float) -> bool:
        if (minute := int(now // 60)) != self._minute:
            self._minute, self._asked = minute, {}
        answers, asked = self._asked.get(person, (0, 0))
        if answers >= ANSWERS or asked + count > A_MINUTE:
            return False
        self._asked[person] = (answers + 1, asked + count)
        return True


class LineCall(APIHandler):
    """`GET visa/line/probe?bytes=N`: so many bytes that no proxy makes smaller, to measure the line with."""

    def initialize(self, allowance: Allowance):
        """Called by Tornado for each request."""
        self.allowance = allowance

    def get(self):
        """The bytes; 400 for none or too many, 429 for whoever has had enough in this minute."""
        wanted = self.get_query_argument("bytes", "")
        if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 7 or int(wanted) > LARGEST:
            raise HTTPError(400, f"bytes: a whole number, at most {LARGEST}")
        if not self.allowance.takes(self.current_user.username, int(wanted), time.monotonic()):
            raise HTTPError(429, "the line was measured often enough for now")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(os.urandom(int(wanted)))

    def update_api_activity(self):
        """A page measures by itself: no sign that somebody works."""


def handlers(base: str, process: StreamProcess) -> list[tuple]:
    """What the session's server answers about the stream."""
    return [
        (url_path_join(base, "visa/stream"), StreamCall, {"process": process}),
        (
            url_path_join(base, "visa/stream/socket"),
            StreamSocket,
            {"process": process, "viewers": Viewers(process)},
        ),
        (url_path_join(base, "visa/line/probe"), LineCall, {"allowance": Allowance()}),
    ]
