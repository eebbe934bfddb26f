"""A session that its owner has stand still, and go on where it was: where its backend can keep it so.

Its lifetime goes on meanwhile; that nobody works in it does not count. What the database keeps is when it was
suspended, for the log: how it stands is its backend's word alone, and a cluster may suspend it by itself.

What stands still takes connections and answers none. So the proxy does not lead to it meanwhile, but to the
hub, whose page (`api/still.py`) says how it stands. What was open before stays open, and goes on with it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from ..session import StartRefused, State
from ..start import rerouting

#: Seconds after which whoever asked for it is told that it goes on by itself.
PATIENCE = 20.0
_REFUSED = {
    "suspend": "it cannot be suspended: it does not run at the moment, or its plan does not allow it",
    "resume": "it cannot be resumed: it is not suspended at the moment",
}


class Suspending:
    """Mixed into `VisaSpawner`."""

    #: The run that stood still at the last look, by when it began; None where none did.
    _still: datetime | None = None
    #: What the proxy was last told: whether to lead to the hub in its place.
    _hidden = False
    _leading: asyncio.Task | None = None

    @property
    def withheld(self) -> bool:
        """Whether it stands still, so that the proxy leads to the hub in its place."""
        still = self._still is not None and self._still == self.kept.runs_since
        return still and self.kept.phase == "running"

    @property
    def may_suspend(self) -> bool:
        """Whether its owner may suspend it now."""
        return self._stands_by() and self.child_spawner.may_suspend

    @property
    def may_resume(self) -> bool:
        """Whether its owner may have it go on now."""
        return self._stands_by() and self.child_spawner.may_resume

    async def suspend(self) -> bool:
        """Have it stand still; whether it does already, else it goes on to. Raises StartRefused in words."""
        return await self._in_turn("suspend", self.may_suspend, self._suspend)

    async def resume(self) -> bool:
        """Have it go on where it was; as `suspend`."""
        return await self._in_turn("resume", self.may_resume, self._resume)

    async def _in_turn(self, what: str, may: bool, work) -> bool:
        if not may:
            raise StartRefused(_REFUSED[what], field="session", status=409)
        task = asyncio.create_task(work())
        self._changing.add(task)  # or nobody would hold it
        task.add_done_callback(self._changed)
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        if done:
            task.result()
        return bool(done)

    def _changed(self, task: asyncio.Task) -> None:
        self._changing.discard(task)
        self.follow_suspension()
        if not task.cancelled() and (error := task.exception()):
            self.log.warning("%s: not suspended or resumed: %s", self._log_name, error)

    async def _suspend(self) -> None:
        await self.child_spawner.suspend()
        self._note(datetime.now(UTC))
        await self._until_followed()

    async def _resume(self) -> None:
        if self.kept.suspended is None:  # by a hub that was killed before it had noted it
            self._note(datetime.now(UTC))
        await self.child_spawner.resume()
        self._has_gone_on()
        await self._until_followed()

    def follow_suspension(self) -> None:
        """Take in how it stands by its backend's last word; called at each look that may have changed that.

        Its idleness counts from now where it goes on by its backend's doing, staff's, or a hub's that was
        killed.
        """
        status = self.child_spawner.status if self.child_spawner else None
        if status is None or self.kept.phase != "running":
            return
        runs, was_withheld = status.state is State.RUNNING, self.withheld
        if (self.kept.suspended or was_withheld) and runs and not self._changing:
            self._has_gone_on()
        if runs or status.held:  # not where nobody can tell how it stands
            self._still = self.kept.runs_since if status.held else None
        # A hub that starts looks at all routes when it knows how each session stands.
        if self.withheld is not self._hidden and self.ready:
            self._follow_route()

    def looked(self) -> None:
        """`follow_suspension` for a backend, whose looks at others go on whatever comes of it."""
        try:
            self.follow_suspension()
        except Exception:
            self.log.exception("%s: how it stands could not be followed", self._log_name)

    def _follow_route(self) -> None:
        if self._leading is None or self._leading.done():
            self._leading = asyncio.create_task(self._lead())

    async def _until_followed(self) -> None:
        """Return when the proxy does as the session stands, or has been asked in vain for long."""
        self.follow_suspension()
        if self._leading is not None:
            await asyncio.wait([self._leading])

    async def _lead(self) -> None:
        """Have the proxy lead to it or not, as it stands once that is done; the next look tries again."""
        while self.ready and self._hidden is not (withheld := self.withheld):
            if not await (rerouting.forget(self) if withheld else rerouting.reach(self)):
                return
            self._hidden = withheld

    def _has_gone_on(self) -> None:
        # Or it would end at once, for nobody has worked in it.
        self.orm_spawner.last_activity = datetime.now(UTC).replace(tzinfo=None)
        self._note(None)

    def _note(self, suspended: datetime | None) -> None:
        if self.kept.phase == "running":  # it may have been stopped meanwhile
            self._kept = self.kept.but(suspended=suspended)
            self.remember()

    def _stands_by(self) -> bool:
        settled = self.kept.phase == "running" and self.ready and not self.put_back
        return settled and self.child_spawner is not None

    @property
    def _changing(self) -> set[asyncio.Task]:
        return self.__dict__.setdefault("_under_way", set())
