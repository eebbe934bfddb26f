"""Whoever makes machines, asked from a few threads of our own: nothing of it ever holds up the hub's loop.

Such calls have no limit of their own. One that takes too long is left to end by itself. While all threads are
busy, what else is asked waits for one, within its own time: then that is silence, which is not dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .provider import Silent

T = TypeVar("T")


class Lane:
    """Some threads; `timeout`: seconds a call may take, unless it says otherwise."""

    def __init__(self, name: str, timeout: float = 20, threads: int = 4):
        self.name, self._timeout = name, timeout
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = asyncio.Semaphore(threads)

    async def call(self, ask: Callable[[Any], T], timeout: float | None = None) -> T:
        """Ask something, in a thread; raises Silent, Refused.

        To wait for a thread counts. A call once begun runs to its end, also when the asker is cancelled.
        """
        seconds = timeout or self._timeout
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
                work = asyncio.wrap_future(self._threads.submit(self._ask, ask))
                work.add_done_callback(self._done)
                return await asyncio.shield(work)
        except TimeoutError:
            raise Silent(f"{self.name}: no answer within {seconds:g} s") from None

    def _done(self, work: asyncio.Future) -> None:
        self._free.release()
        if not work.cancelled():
            work.exception()

    def _ask(self, ask: Callable[[Any], T]) -> T:
        """In a thread: call it with what it asks; raises Silent, Refused."""
        raise NotImplementedError

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
