"""Who may watch at selkies: a token for each connection, made for it and worthless when it is over.

The whole table of them is told to selkies anew with each change, by its master token, over its unix socket.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections import Counter

import aiohttp

from .messages import Budget
from .process import StreamFailed, StreamProcess

#: Nobody does more than watch: mouse and keyboard are VNC's matter.
VIEWER = {"role": "viewer", "slot": None}
#: People who may watch at a time beside the owner, for whom there is always a place; windows of each.
MOST, EACH = 8, 3
#: Openings of one person at once, and within so many seconds: each is a whole picture for all who watch.
OPENINGS, WITHIN = 12, 60.0
#: Seconds for selkies to answer; bytes of its largest message, a picture.
ANSWER_LIMIT, LARGEST = 10.0, 8 * 2**20
#: How a session's token is presented without an address that would stand in a log.
PROTOCOL, CARRIER = "selkies", "selkies.token."


class Crowded(Exception):
    """As many watch as may, or somebody came too often; the text is one sentence."""


class Viewers:
    """The people who watch one stream."""

    def __init__(self, process: StreamProcess):
        self.process = process
        self._tokens: dict[str, dict] = {}
        self._windows: Counter[str] = Counter()
        self._openings: dict[str, Budget] = {}
        self._telling = asyncio.Lock()

    @contextlib.contextmanager
    def place(self, person: str, now: float):
        """A place for one more window of somebody's; raises Crowded.

        `now` is in seconds, of a clock that only goes on.
        """
        owner = self.process.info.owner
        others = self._windows.keys() - {owner, person}
        if person != owner and len(others) >= MOST:
            raise Crowded("As many people as may watch the video stream already.")
        if self._windows[person] >= EACH:
            raise Crowded("You watch the video stream in as many windows as one person may.")
        if not self._openings.setdefault(person, Budget(OPENINGS, WITHIN)).takes(now):
            raise Crowded("The video stream was opened too often; in a moment it can be again.")
        self._windows[person] += 1
        try:
            yield
        finally:
            self._windows[person] -= 1
            self._windows = +self._windows  # without who has gone

    @contextlib.asynccontextmanager
    async def connected(self):
        """A websocket to selkies as somebody who watches; raises StreamFailed."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = VIEWER
        try:
            connector = aiohttp.UnixConnector(str(self.process.socket))
            async with aiohttp.ClientSession(connector=connector) as session:
                try:
                    await self._tell(session)
                    socket = await session.ws_connect(
                        "http://stream/api/websockets",
                        protocols=(PROTOCOL, CARRIER + carried(token)),
                        autoping=False,  # its pings are the browser's to answer
                        max_msg_size=LARGEST,
                        timeout=aiohttp.ClientWSTimeout(ws_close=ANSWER_LIMIT),
                    )
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    raise StreamFailed("The video stream does not answer.") from error
                async with socket:
                    yield socket
        finally:
            del self._tokens[token]
            if not self.process.ended.is_set():
                await asyncio.shield(self._forget())

    async def _tell(self, session: aiohttp.ClientSession) -> None:
        async with self._telling:  # the last one told is the newest
            answer = await session.post(
                "http://stream/api/tokens",
                json=self._tokens,
                headers={"Authorization": f"Bearer {self.process.token}"},
                timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT),
            )
            answer.raise_for_status()

    async def _forget(self) -> None:
        """Tell selkies the table without whoever has gone."""
        connector = aiohttp.UnixConnector(str(self.process.socket))
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(connector=connector) as session:
                await self._tell(session)


def carried(token: str) -> str:
    """A token as a websocket's subprotocol may carry it."""
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
