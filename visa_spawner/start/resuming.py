"""Starts that go on without whoever asked for them: after a restart of the hub, or started anew by a backend.

JupyterHub knows a start as a request that waits for it. Here it is a task of the spawner's own, which the hub
finds where it looks for a start that is under way (`_spawn_future`, `_spawn_pending`): so it can be stopped,
its steps can be watched, and nobody starts the session a second time.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from jupyterhub import orm
from jupyterhub.utils import url_path_join

from .. import words
from ..asked.admission import as_spawn_exception
from ..session import StartRefused, State
from . import encrypted, rerouting
from .vouched import VouchedServer
from .waiting import TIMEOUT


class Resuming:
    """Mixed into `VisaSpawner`."""

    async def get_url(self) -> str:
        """Where the server is reached now. Asked by a restarted hub alone, for sessions that may run.

        A start that the hub's end interrupted goes on from here, and is not waited for. Whether the server
        answers the hub's request is not made a condition of its life: only the backend's word ends a session.
        """
        self._server = VouchedServer(orm_server=self.orm_spawner.server)
        if self._kept.phase == "starting":
            if self.child_spawner:
                self._steps.say(words.GOES_ON)
                self.go_on()
            return self.server.url
        try:
            found = self.child_spawner and await self.child_spawner.address()
            address = found and encrypted.address(self, found)
            if address and address != self._kept.url and self._kept.phase == "running":
                self._kept = self._kept.but(url=address)
                self.remember()
        except Exception:
            self.log.exception("%s: where it is reached is not known", self._log_name)
        return url_path_join(self._kept.url, self.server.base_url) if self._kept.url else self.server.url

    @property
    def is_going_on(self) -> bool:
        """Whether a start of ours is under way."""
        return self._going_on is not None

    def go_on(self) -> None:
        """Wait for a session that is starting, as for a start that is under way; once is enough."""
        if self._starting or self._going_on is not None:
            return
        if self._kept.port:
            self._listening.set()
        self._going_on = asyncio.create_task(self._goes_on())
        self._going_on.add_done_callback(self._went_on)
        if not self._hub_starts_it():
            self._take_for_a_start()

    def _take_for_a_start(self) -> None:
        self._spawn_future, self._spawn_pending = self._going_on, True

    def _hub_starts_it(self) -> bool:
        """Whether the hub is at the end of a start of its own."""
        future = self._spawn_future
        return future is not None and future is not self._going_on and not future.done()

    def _went_on(self, task: asyncio.Task) -> None:
        """As the hub does when a start of its own is done."""
        self._going_on = None
        self._steps.close()
        if self._spawn_future is not task:
            return
        self._spawn_pending = False
        if task.cancelled():
            # Somebody stops it: the hub calls `stop` next.
            self._interrupted, self._ending = True, self._ending or words.INTERRUPTED
        # What went wrong is kept for the pages that tell it.
        if task.cancelled() or task.exception() is None:
            self._spawn_future = None

    async def _goes_on(self) -> None:
        # The hub's look at what it finds must be over first: it does not expect a session to end meanwhile.
        while self._check_pending or self._hub_starts_it():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)  # what the hub does when its own start is done comes first
        self._take_for_a_start()
        try:
            await self._until_running()
            await rerouting.reach(self)
        except StartRefused as error:
            await self._end_failed(error)
            raise as_spawn_exception(error) from error
        except Exception as error:
            self.log.exception("%s: the start failed", self._log_name)
            failure = StartRefused(words.BROKEN, status=500, reason="error")
            await self._end_failed(failure)
            raise as_spawn_exception(failure) from error

    async def _until_running(self) -> None:
        child = self.child_spawner
        if self._kept.url:
            # It ran before, and where it was reached then may be anybody's by now.
            await rerouting.forget(self)
        if not self._token_is_valid():
            raise StartRefused(words.NEVER_STARTED, status=500, reason="interrupted")
        code = await child.poll()
        if code is not None:
            raise StartRefused(words.of_end(code, child.status, listened=False), status=500, reason="died")
        async with self._telling(child):
            while True:
                try:
                    return self._runs(await self._come_up(child, self._left()))
                except StartRefused as error:
                    unknown = child.status is not None and child.status.state is State.UNKNOWN
                    if error.reason != TIMEOUT or not unknown:
                        raise

    async def _end_failed(self, error: StartRefused) -> None:
        """As the hub does with a start of its own that failed."""
        await self._close(State.FAILED, error.words)
        await self.user.stop(self.name)

    def _token_is_valid(self) -> bool:
        token = self._kept.token and self.user.db.get(orm.APIToken, self._kept.token)
        now = datetime.now(UTC).replace(tzinfo=None)
        return bool(token) and (token.expires_at is None or token.expires_at > now)
