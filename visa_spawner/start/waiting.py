"""From a session that was asked for to one that listens, through its backend's queue where there is one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from jupyterhub.utils import url_path_join, wait_for_http_server
from traitlets import Float, HasTraits

from .. import words
from ..session import StartRefused, State
from . import encrypted, meters
from .unheard import unheard

#: Seconds of the site's `start_timeout` left for cleaning up after a start that took too long.
CLEANING = 10

#: Seconds that a session has to say that it listens, however late it is found again.
LEAST = 5

#: Why a start was given up that took too long.
TIMEOUT = "timeout"


async def first_of(seconds: float | None, **waits: Awaitable) -> tuple[str, Any]:
    """The name and the result of what comes first, in the order given; raises TimeoutError.

    `seconds` None: waits without end.
    """
    tasks = {name: asyncio.ensure_future(wait) for name, wait in waits.items()}
    try:
        done, _ = await asyncio.wait(tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for name, task in tasks.items():
            if task in done:
                return name, task.result()
        raise TimeoutError
    finally:
        for task in tasks.values():
            task.cancel()


class Waiting(HasTraits):
    """Mixed into `VisaSpawner`."""

    unheard_timeout = Float(
        30.0,
        min=1,
        help="""Seconds for which a session that runs may try in vain to reach the hub, by its own log, before
        its start is given up. Too short, and a network that was away for a moment ends starts.""",
    ).tag(config=True)

    def _get_ready_to_wait(self) -> None:
        self._listening, self._put_back = asyncio.Event(), asyncio.Event()

    @property
    def has_queue(self) -> bool:
        """Whether its backend lets sessions wait for their place."""
        return self.child_spawner is not None and self.child_spawner.queue_limit > 0

    @property
    def put_back(self) -> bool:
        """Whether it ran, and its backend says that it is to start anew."""
        status = self.child_spawner.status if self.child_spawner and self.kept.phase == "running" else None
        return status is not None and status.state is State.STARTING

    @property
    def queued(self) -> bool:
        """Whether it waits for its place."""
        waits = self.kept.phase == "starting" and self.kept.placed is None
        return self.has_queue and (waits or self.put_back)

    # How long ----------------------------------------------------------------------------------------
    @property
    def own_limit(self) -> float:
        """Seconds a start may take beside what it waits in a queue: the site's own `start_timeout`."""
        return self.start_timeout - self._queue_seconds

    def _allow_for_queue(self) -> None:
        """Have JupyterHub, which asks for `start_timeout` after this, wait as long as the queue may last."""
        own = self.own_limit
        self._queue_seconds = math.ceil(self.child_spawner.queue_limit)
        self.start_timeout = int(own + self._queue_seconds)

    def _left(self) -> float:
        """Seconds that are left of the site's own limit to a session that a restarted hub has found."""
        if self.queued:
            return self.own_limit - CLEANING
        return self.own_limit - _seconds_since(self.kept.placed or self.kept.started)

    @asynccontextmanager
    async def _in_time(self, seconds: float | None = None) -> AsyncIterator[Callable[[], float]]:
        """Raise StartRefused when it takes longer than the site's own limit; tells what is left of it."""
        limit, begun = seconds if seconds is not None else self.own_limit - CLEANING, time.monotonic()
        try:
            async with asyncio.timeout(max(1, limit)):
                yield lambda: limit - (time.monotonic() - begun)
        except TimeoutError:
            raise self._too_late() from None

    def _too_late(self) -> StartRefused:
        said = f"The session was not ready within {words.hours(self.own_limit / 3600)}. {words.AGAIN}"
        return StartRefused(said, status=504, reason=TIMEOUT)

    # Waiting -----------------------------------------------------------------------------------------
    async def _come_up(self, child, left: float, *, must_answer: bool = False) -> str:
        """Where the session is reached, once it has said that it listens; `must_answer`: and has answered.

        `left` is what it may take without the queue, in seconds. A session that is put back into the queue
        meanwhile is waited for again. Raises StartRefused when it ends, or when its time is over.
        """
        while True:
            self._put_back.clear()
            if self.queued:
                await self._until_placed(child)
            async with self._in_time(max(LEAST, left)):
                address = await self._until_listening(child)
                if address and (not must_answer or await self._until_answering(child, address)):
                    seconds = _seconds_since(self.kept.placed or self.kept.started)
                    meters.READY.labels(self.kept.backend).observe(seconds)
                    return address
            left = self.own_limit - CLEANING

    async def _until_placed(self, child) -> None:
        """Return when it has its place, or was put back."""
        limit = child.queue_limit
        try:
            what, status = await first_of(
                max(LEAST, limit - _seconds_since(self.kept.started)),
                listening=self._listening.wait(),
                put_back=self._put_back.wait(),
                ended=child.ended(),
                placed=child.placed(),
            )
        except TimeoutError:
            said = words.waited_too_long(limit / 3600)
            raise StartRefused(said, status=504, reason=TIMEOUT) from None
        if what == "ended":
            raise await self._died(child, status)
        if what != "put_back":
            self._kept = self.kept.but(placed=datetime.now(UTC))
            self.remember()

    async def _until_listening(self, child) -> str | None:
        """Where it is reached; None when it was put back."""
        what, found = await first_of(
            None,
            put_back=self._put_back.wait(),
            reached=self._reached(child),
            ended=child.ended(),
            unheard=unheard(child, self.unheard_timeout),
        )
        if what == "ended":
            raise await self._died(child, found)
        if what == "unheard":
            where = f" on {child.node_name}" if child.node_name else ""
            self.log.error(
                "%s runs%s and does not reach the hub. What must be open to that machine is in"
                " docs/operators/install.md. Its own words: %s",
                *(self._log_name, where, found),
            )
            raise StartRefused(words.UNHEARD, status=504, reason="unheard")
        return found if what == "reached" else None

    async def _until_answering(self, child, address: str) -> bool:
        """Whether it answers the hub there; False when it was put back before it did."""
        url = url_path_join(address, self.server.base_url, "api")
        try:
            what, found = await first_of(
                self.http_timeout,
                put_back=self._put_back.wait(),
                answers=wait_for_http_server(
                    url, timeout=self.http_timeout, ssl_context=encrypted.trusting(self)
                ),
                ended=child.ended(),
            )
        except TimeoutError:
            self.log.error(
                "%s says that it listens, and does not answer the hub at %s", self._log_name, address
            )
            raise StartRefused(words.NOT_REACHED, status=504, reason=TIMEOUT) from None
        if what == "ended":
            raise await self._died(child, found)
        return what == "answers"

    async def _reached(self, child) -> str:
        await self._listening.wait()
        while (address := await child.address()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        return encrypted.address(self, address)

    async def _died(self, child, status) -> StartRefused:
        said = words.of_end(await child.poll() or 0, status, listened=False)
        return StartRefused(said, status=500, reason="died")

    # Telling -----------------------------------------------------------------------------------------
    @asynccontextmanager
    async def _telling(self, child) -> AsyncIterator[None]:
        """Tell the backend's steps meanwhile."""
        task = asyncio.create_task(self._tell_steps(child))
        try:
            yield
        finally:
            task.cancel()

    async def _tell_steps(self, child) -> None:
        while True:
            try:
                async for status in child.events():
                    self._steps.say(status.words, status.queued)
            except Exception:
                # The steps are for the eye alone: a start does not fail for want of them.
                self.log.exception("%s: no word of how the start goes", self._log_name)
            self._steps.say("Waiting for the session to answer")
            await self._put_back.wait()


def _seconds_since(moment: datetime | None) -> float:
    return (datetime.now(UTC) - moment).total_seconds() if moment else 0.0
