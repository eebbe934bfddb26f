"""What a container takes of its node, from the engine's counters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..session import Usage
from .engine import EngineRefused, EngineSilent

#: Seconds that an answer serves everybody who asks.
FRESH = 3.0
#: Seconds between the two readings that the first answer needs, since engines count seconds of CPU.
APART = 0.5
#: Seconds within which an earlier reading is near enough to say what is taken now.
NEAR = 15.0


class Meter:
    """One container's."""

    def __init__(self):
        self._answer: Usage | None = None
        self._answered = -FRESH
        #: When the counter was read last, and how many seconds of CPU it said.
        self._reading: tuple[float, float] | None = None
        self._asking = asyncio.Lock()

    async def read(
        self, ask: Callable[..., Awaitable[dict[str, Any]]], container: str, memory_limit: int
    ) -> Usage | None:
        """What it takes now; None when the engine does not say. `ask` is docker-py's method of a name."""
        async with self._asking:
            if time.monotonic() - self._answered < FRESH:
                return self._answer
            try:
                self._answer = await self._measure(ask, container, memory_limit)
            except (EngineRefused, EngineSilent, KeyError, TypeError):
                self._answer = self._reading = None
            self._answered = time.monotonic()
            return self._answer

    async def _measure(self, ask, container: str, memory_limit: int) -> Usage:
        if self._reading is None or time.monotonic() - self._reading[0] > NEAR:
            self._reading, _ = await self._once(ask, container)
            await asyncio.sleep(APART)
        before, (self._reading, memory) = self._reading, await self._once(ask, container)
        seconds = self._reading[0] - before[0]
        cpus = max(0.0, self._reading[1] - before[1]) / seconds
        return Usage(round(cpus, 2), memory, memory_limit)

    async def _once(self, ask, container: str) -> tuple[tuple[float, float], int]:
        found = await ask("stats", container, stream=False, one_shot=True)
        used = found["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        return (time.monotonic(), used), memory_in_use(found)


def memory_in_use(found: dict[str, Any]) -> int:
    """Bytes in use without files that the kernel keeps only for as long as there is room."""
    stats = found["memory_stats"]
    details = stats.get("stats") or {}
    cached = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(stats["usage"]) - int(cached))
