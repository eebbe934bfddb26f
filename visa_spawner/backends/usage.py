"""What a session takes of its node, from counters that somebody else keeps: an engine, a hypervisor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..session import Usage

#: Seconds that an answer serves everybody who asks.
FRESH = 3.0
#: Seconds between the two readings that the first answer needs, since what is counted is seconds of CPU.
APART = 0.5
#: Seconds within which an earlier reading is near enough to say what is taken now.
NEAR = 15.0

#: Seconds of CPU used so far, and bytes of memory in use now (None: not known).
Reading = tuple[float, int | None]


class Meter:
    """One session's."""

    def __init__(self):
        self._answer: Usage | None = None
        self._answered = -FRESH
        #: When the counter was read last, and how many seconds of CPU it said.
        self._last: tuple[float, float] | None = None
        self._asking = asyncio.Lock()

    async def read(
        self, look: Callable[[], Awaitable[Reading | None]], memory_limit: int, faults: tuple = ()
    ) -> Usage | None:
        """What it takes now; None when `look` gives None, or raises one of the `faults`."""
        async with self._asking:
            if time.monotonic() - self._answered < FRESH:
                return self._answer
            try:
                self._answer = await self._measure(look, memory_limit)
            except faults:
                self._answer = None
            if self._answer is None:
                self._last = None
            self._answered = time.monotonic()
            return self._answer

    async def _measure(
        self, look: Callable[[], Awaitable[Reading | None]], memory_limit: int
    ) -> Usage | None:
        if self._last is None or time.monotonic() - self._last[0] > NEAR:
            if (found := await look()) is None:
                return None
            self._last = time.monotonic(), found[0]
            await asyncio.sleep(APART)
        if (found := await look()) is None:
            return None
        before, self._last = self._last, (time.monotonic(), found[0])
        cpus = max(0.0, self._last[1] - before[1]) / (self._last[0] - before[0])
        return Usage(round(cpus, 2), found[1], memory_limit)


def of_container(found: dict[str, Any]) -> Reading:
    """What an engine's counters say; raises KeyError, TypeError where they do not."""
    return found["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory_in_use(found)


def memory_in_use(found: dict[str, Any]) -> int:
    """Bytes in use without files that the kernel keeps only for as long as there is room."""
    stats = found["memory_stats"]
    details = stats.get("stats") or {}
    cached = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(stats["usage"]) - int(cached))
