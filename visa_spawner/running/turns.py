"""Going through many sessions without anybody noticing: others have their turn every few milliseconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

#: Seconds of work after which others have their turn.
SLICE = 0.01


async def in_turns(
    things: Iterable[T], seconds: float = SLICE, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[T]:
    """Each of them; whatever waits in the event loop goes first whenever `seconds` are used up.

    They are listed before the first: what comes or goes meanwhile is the caller's to look at.
    """
    began = clock()
    for thing in list(things):
        if clock() - began >= seconds:
            await asyncio.sleep(0)
            began = clock()
        yield thing
