"""The steps of one start in plain words, for everyone who watches it, also those who come late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Steps:
    """Words in the order they were said; ends when `close` is called."""

    def __init__(self):
        self.words: list[str] = []
        self._closed = False
        self._changed = asyncio.Event()

    def say(self, words: str) -> None:
        """Add a step, unless it is the one already shown."""
        if not self._closed and words and words != self.last:
            self.words.append(words)
            self._wake()

    def close(self) -> None:
        """There will be no more."""
        self._closed = True
        self._wake()

    @property
    def last(self) -> str:
        """The step that is under way."""
        return self.words[-1] if self.words else ""

    async def events(self) -> AsyncIterator[dict]:
        """Progress events as JupyterHub wants them; each comes closer to the end, none reaches it."""
        given = 0
        while True:
            changed = self._changed
            for words in self.words[given:]:
                given += 1
                yield {"progress": round(95 * (1 - 0.75**given)), "message": words}
            if self._closed and given == len(self.words):
                return
            await changed.wait()

    def _wake(self) -> None:
        # A new event each time: nobody can miss a step between reading the list and waiting.
        self._changed.set()
        self._changed = asyncio.Event()
