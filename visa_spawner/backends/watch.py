"""One look at a node's containers per interval, shared by every session there.

What costs is the number of nodes, never the number of sessions. Silence of an engine changes nothing
that was seen before: unknown is not dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from .engine import Engine, EngineRefused, EngineSilent

#: Label that every container of a session carries, with the hub's id as its value.
HUB_LABEL = "visa.hub"


@dataclass(frozen=True)
class Seen:
    """A container as its engine's list has it; `state` is the engine's own word."""

    name: str
    id: str
    state: str
    labels: dict[str, str]

    @property
    def alive(self) -> bool:
        """Whether its process runs, as far as the list tells."""
        return self.state in ("running", "paused", "restarting", "stopping", "removing")

    @property
    def ended(self) -> bool:
        """Whether its process has run and ended."""
        return self.state in ("exited", "dead", "stopped")


class Watch:
    """The list of one node's session containers, kept up by a task of its own.

    `seen` is the last list; `answering` is None until the engine was asked once; `since` is when that
    last changed; `as_of` is the `time.monotonic()` at which the question behind `seen` was asked.
    """

    def __init__(
        self,
        engine: Engine,
        changed: Callable[[Watch], None],
        *,
        busy: Callable[[], bool],
        interval: float,
        idle_interval: float,
        log: logging.Logger,
    ):
        self.engine, self.node = engine, engine.node
        self.seen: dict[str, Seen] = {}
        self.answering: bool | None = None
        self.since = datetime.now(UTC)
        self.as_of = 0.0
        #: Asks less than a second apart while this is more than 0: somebody waits for a session to start.
        self.hurry = 0
        self._changed, self._busy, self._log = changed, busy, log
        self._interval, self._idle_interval = interval, idle_interval
        self._begun = self._done = 0
        self._turn = asyncio.Condition()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"watch {self.node.name}")

    async def fresh(self) -> None:
        """Return when the engine has answered, or failed to answer, a question asked after this call.

        Askers at the same time share one question.
        """
        wanted = self._begun + 1
        self._wake.set()
        async with self._turn:
            await self._turn.wait_for(lambda: self._done >= wanted)

    def look_soon(self) -> None:
        """Look now rather than when the interval is over: something has begun here."""
        self._wake.set()

    async def asked_once(self) -> None:
        """Return when the first question has been answered or has failed."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._done > 0)

    async def next_turn(self) -> None:
        """Return after the next look, whenever that is due."""
        wanted = self._done + 1
        async with self._turn:
            await self._turn.wait_for(lambda: self._done >= wanted)

    @contextlib.contextmanager
    def hurried(self):
        """Look often while the block runs."""
        self.hurry += 1
        self._wake.set()
        try:
            yield
        finally:
            self.hurry -= 1

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._begun += 1
            await self._look()
            async with self._turn:
                self._done = self._begun
                self._turn.notify_all()
            # Not wait_for: in Python 3.11 it can swallow a cancellation that comes with the wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()

    def _pause(self) -> float:
        if self.hurry and self.answering:
            return 0.25
        return self._interval if self._busy() or not self.answering else self._idle_interval

    async def _look(self) -> None:
        asked = time.monotonic()
        try:
            listed = await self.engine.list_sessions(HUB_LABEL)
            seen = [
                Seen(
                    name.lstrip("/"), item["Id"], str(item.get("State", "")).lower(), item.get("Labels") or {}
                )
                for item in listed
                for name in (item.get("Names") or [])[:1]
            ]
        except (EngineSilent, EngineRefused, KeyError, TypeError) as error:
            if self.answering is not False:
                self.answering, self.since = False, datetime.now(UTC)
                self._log.warning("The engine of node %s does not answer: %s", self.node.name, error)
        else:
            if self.answering is not True:
                self.answering, self.since = True, datetime.now(UTC)
                self._log.info("The engine of node %s answers", self.node.name)
            self.seen, self.as_of = {one.name: one for one in seen}, asked
        try:
            self._changed(self)
        except Exception:
            # The watch must outlive a fault in what follows it, or every session here would look the same
            # for ever.
            self._log.exception("Following the list of node %s failed", self.node.name)
