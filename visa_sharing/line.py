"""The open requests by which sessions are told who their members are."""

from __future__ import annotations

import asyncio
import random

#: How many a session may keep open: one that has just been started anew may still have its last one.
MOST = 3


def pause(trust_seconds: float) -> float:
    """Seconds until a line is told the same again, well within those that a session trusts it.

    Another for each: thousands that were opened at once would all be written to at once for ever.
    """
    return trust_seconds / 3 * random.uniform(0.6, 1.0)


class Line:
    """One open request of a session: the newest table that it has not been sent yet, never a queue."""

    def __init__(self, token: int):
        #: The database id of the session's token, by which a session that was started anew is told apart.
        self.token = token
        self.closed = False
        self._waiting = asyncio.Event()
        self._newest = b""

    def put(self, table: bytes) -> None:
        """Send this next; the same as the last is not sent again."""
        if table != self._newest:
            self._newest = table
            self._waiting.set()

    def close(self) -> None:
        self.closed = True
        self._waiting.set()

    async def next(self, seconds: float) -> bytes:
        """The newest table as soon as there is one, the last again after so many seconds.

        Empty when the line is closed.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._waiting.wait()
        except TimeoutError:
            pass
        self._waiting.clear()
        return b"" if self.closed else self._newest


class Lines:
    """All open lines, by the id of the session's row."""

    def __init__(self):
        self._open: dict[int, list[Line]] = {}

    def open(self, spawner_id: int, line: Line) -> None:
        """Take one in; the oldest of a session that has too many is closed."""
        lines = self._open.setdefault(spawner_id, [])
        lines.append(line)
        while len(lines) > MOST:
            lines.pop(0).close()

    def remove(self, spawner_id: int, line: Line) -> None:
        """Forget one that has ended."""
        lines = self._open.get(spawner_id, [])
        if line in lines:
            lines.remove(line)
        if not lines:
            self._open.pop(spawner_id, None)

    def of(self, spawner_id: int) -> list[Line]:
        return list(self._open.get(spawner_id, ()))

    @property
    def sessions(self) -> list[int]:
        """Ids of the sessions that listen."""
        return list(self._open)


_lines = Lines()


def lines() -> Lines:
    """The hub's one collection."""
    return _lines
