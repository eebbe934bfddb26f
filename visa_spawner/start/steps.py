"""The steps of one start in plain words, for everyone who watches it, also those who come late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One step; `queued` words are replaced by the next of their kind. `number` is its own for ever."""

    number: int
    words: str
    queued: bool


class Steps:
    """Words in the order they were said; ends when `close` is called."""

    def __init__(self):
        self._lines: list[Line] = []
        self._said = 0
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def words(self) -> list[str]:
        """What is shown of the start now."""
        return [line.words for line in self._lines]

    def say(self, words: str, queued: bool = False) -> None:
        """Add a step, unless it is the one already shown; words about the queue replace the last such words.

        A session may wait for hours: its steps stay as few as they are.
        """
        if self._closed or not words or words == self.last:
            return
        if queued and self._lines and self._lines[-1].queued:
            self._lines.pop()
        self._said += 1
        self._lines.append(Line(self._said, words, queued))
        self._wake()

    def close(self) -> None:
        """There will be no more."""
        self._closed = True
        self._wake()

    @property
    def last(self) -> str:
        """The step that is under way."""
        return self._lines[-1].words if self._lines else ""

    async def events(self) -> AsyncIterator[dict]:
        """Progress events as JupyterHub wants them; each comes closer to the end, none reaches it.

        One about the queue has `"queued": true` and takes the place of the last such event.
        """
        given = 0
        while True:
            changed = self._changed
            for place, line in enumerate(list(self._lines), 1):
                if line.number <= given:
                    continue
                given = line.number
                event = {"progress": round(95 * (1 - 0.75**place)), "message": line.words}
                yield event | ({"queued": True} if line.queued else {})
            if self._closed and given == self._said:
                return
            await changed.wait()

    def _wake(self) -> None:
        # A new event each time: nobody can miss a step between reading the list and waiting.
        self._changed.set()
        self._changed = asyncio.Event()
