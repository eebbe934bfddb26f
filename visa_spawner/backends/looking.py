"""Looking at something again and again, once for all who want to know: the turns, and the haste."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime


class Looking:
    """Mixed into what looks by a task of its own, which calls `_turned` after each look.

    `answering` is None until it was asked once, `since` when that last changed (UTC), `as_of` the
    `time.monotonic()` at which the question behind the last answer was asked.
    """

    def __init__(self) -> None:
        self.answering: bool | None = None
        self.since = datetime.now(UTC)
        self.as_of = 0.0
        #: Looks often while this is more than 0: somebody waits for a session to start or end.
        self.hurry = 0
        self._begun = self._done = 0
        self._turn = asyncio.Condition()
        self._wake = asyncio.Event()

    async def fresh(self) -> None:
        """Return when a question that was asked after this call has been answered, or has failed.

        Askers at the same time share one question. What is slow or silent still gets its rest.
        """
        wanted = self._begun + 1
        self._wake.set()
        await self._until_done(wanted)

    async def next_turn(self) -> None:
        """Return after the next look, whenever that is due."""
        await self._until_done(self._done + 1)

    async def asked_once(self) -> None:
        """Return when the first question has been answered or has failed."""
        await self._until_done(1)

    def look_soon(self) -> None:
        """Look now rather than when the interval is over: something has begun."""
        self._wake.set()

    @contextlib.contextmanager
    def hurried(self):
        """Look often while the block runs."""
        self.hurry += 1
        self._wake.set()
        try:
            yield
        finally:
            self.hurry -= 1

    def _begin(self) -> None:
        """A look begins: who asks from now on waits for the next one."""
        self._wake.clear()
        self._begun += 1

    async def _turned(self) -> None:
        """The look is over."""
        async with self._turn:
            self._done = self._begun
            self._turn.notify_all()

    async def _woken(self, seconds: float) -> None:
        """Return when so many seconds have passed, or somebody asks for a look."""
        # Not wait_for: in Python 3.11 it can swallow a cancellation that comes with the wake.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _answers(self, now: bool) -> bool:
        """Note whether there was an answer; True when that has changed."""
        if self.answering is now:
            return False
        self.answering, self.since = now, datetime.now(UTC)
        return True

    async def _until_done(self, wanted: int) -> None:
        async with self._turn:
            await self._turn.wait_for(lambda: self._done >= wanted)


class Regular(Looking):
    """Looks by a task of its own until `close`: every `interval` seconds while `busy` says that there is
    something to follow, or nobody answers; more often while somebody waits."""

    hurried_interval = 0.5

    def __init__(self, busy: Callable[[], bool], *, interval: float, idle_interval: float, name: str):
        super().__init__()
        self.busy = busy
        self._interval, self._idle_interval = interval, idle_interval
        self._task = asyncio.create_task(self._run(), name=name)

    async def close(self) -> None:
        """Look no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        """Ask, and follow the answer; what fails is its own to bear, or nobody would look any more."""
        raise NotImplementedError

    async def _run(self) -> None:
        while True:
            self._begin()
            await self._look()
            await self._turned()
            await self._woken(self._pause())

    def _pause(self) -> float:
        if self.hurry and self.answering:
            return self.hurried_interval
        return self._interval if self.busy() or not self.answering else self._idle_interval
