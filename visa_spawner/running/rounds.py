"""Polls all sessions by one task.

JupyterHub gives each session a timer of its own and asks at each. Here one task looks at those that are due,
and asks only where the backend's watch does not say anyway that nothing has changed: five thousand sessions
are a few milliseconds of looking in each second.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import time
from typing import Protocol

log = logging.getLogger(__name__)

#: Seconds between two looks at which sessions are due.
TICK = 0.25


class Polled(Protocol):
    """What is polled: a session."""

    poll_interval: float

    def may_have_ended(self) -> bool:
        """Whether its poll has to be asked; must be quick and not raise."""

    async def poll_and_notify(self) -> int | None:
        """Poll it, and see to it that it is cleared away when it has ended."""


class Rounds:
    """Those that are polled; a session is asked once at a time, however long that takes."""

    def __init__(self):
        self._turn = itertools.count()
        self._due: list[tuple[float, int, Polled]] = []
        #: Which of its entries in `_due` counts, by the session's identity.
        self._number: dict[int, int] = {}
        self._asking: set[asyncio.Task] = set()
        self._task: asyncio.Task | None = None

    def add(self, one: Polled) -> None:
        """Poll it from now on, every `poll_interval` seconds; needs a running event loop."""
        # Anywhere within the first round: after the hub's restart all are added at once.
        self._put(one, one.poll_interval * random.uniform(0.2, 1.0))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def remove(self, one: Polled) -> None:
        """Do not poll it any more; harmless when it is not."""
        self._number.pop(id(one), None)

    def __contains__(self, one: Polled) -> bool:
        return id(one) in self._number

    def __len__(self) -> int:
        return len(self._number)

    def _put(self, one: Polled, seconds: float) -> None:
        number = self._number[id(one)] = next(self._turn)
        heapq.heappush(self._due, (time.monotonic() + seconds, number, one))

    async def _run(self) -> None:
        while self._number:
            await asyncio.sleep(TICK)
            self.look()

    def look(self) -> None:
        """Ask those that are due and may have ended."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, number, one = heapq.heappop(self._due)
            if self._number.get(id(one)) != number:
                continue
            if not one.may_have_ended():
                self._put(one, one.poll_interval)
                continue
            task = asyncio.create_task(self._ask(one, number))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, one: Polled, number: int) -> None:
        try:
            await one.poll_and_notify()
        except Exception:
            log.exception("a session could not be polled; it is polled again")
        if self._number.get(id(one)) == number:
            self._put(one, one.poll_interval)


_rounds = Rounds()


def rounds() -> Rounds:
    """The hub's one collection."""
    return _rounds
