"""One look at all machines per interval, shared by every session: what costs is never their number.

Silence of the provider changes nothing that was seen before: unknown is not dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from ..looking import Looking
from .provider import Machine, Provider, Refused, Silent

#: Seconds between two looks while somebody waits for a machine.
HURRIED = 0.5


class Watch(Looking):
    """All of a hub's machines by name, kept up by a task of its own; `seen` is the last list."""

    def __init__(
        self,
        provider: Provider,
        changed: Callable[[], None],
        *,
        interval: float,
        idle_interval: float,
        log: logging.Logger,
    ):
        super().__init__()
        self.seen: dict[str, Machine] = {}
        self.busy: Callable[[], bool] = lambda: True
        self._provider, self._changed, self._log = provider, changed, log
        self._interval, self._idle_interval = interval, idle_interval
        self._task = asyncio.create_task(self._run(), name="watch machines")

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            self._begin()
            await self._look()
            await self._turned()
            await self._woken(self._pause())

    def _pause(self) -> float:
        if self.hurry and self.answering:
            return HURRIED
        return self._interval if self.busy() or not self.answering else self._idle_interval

    async def _look(self) -> None:
        asked = time.monotonic()
        try:
            listed = await self._provider.list()
        except (Silent, Refused) as error:
            if self._answers(False):
                self._log.warning("The provider of machines does not answer: %s", error)
        except Exception:
            # The watch must outlive a fault of a provider's, or every session would look the same for ever.
            self._log.exception("The list of machines cannot be read")
            self._answers(False)
        else:
            if self._answers(True):
                self._log.info("The provider of machines answers")
            self.seen, self.as_of = {one.name: one for one in listed}, asked
        try:
            self._changed()
        except Exception:
            self._log.exception("Following the list of machines failed")
