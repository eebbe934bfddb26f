"""A session that stands still as its owner wishes, its memory kept by the provider, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import UTC, datetime

from ...session import StartRefused, Status
from ..base import NOT_RESUMED, NOT_SUSPENDED
from ..placement import NoRoom
from . import tags, words
from .making import Making
from .provider import KEEPS_ROOM, Refused, Silent, Stands

#: Seconds for which one that may be going on keeps its room, while its provider has not said so.
UNDECIDED = 1800.0


class Suspending(Making):
    """Mixed into `VMSpawner`."""

    def _reset_moves(self) -> None:
        #: What is said while it is on its way to stand still, or back; None where it is not.
        self._moving: Status | None = None
        self._move_task: asyncio.Task | None = None

    @property
    def may_suspend(self) -> bool:
        """Whether its machine runs, is the session's, and can be kept: one with a GPU cannot."""
        found = self._machine
        if found is None or found.stands is not Stands.RUNNING or found.why:
            return False
        busy = self._starting or self._half or self._stop_wanted or self._moving is not None
        return self.machines.make.can_suspend and not busy and not found.tags.get(tags.GPUS)

    @property
    def may_resume(self) -> bool:
        """Whether its machine is suspended, and what it needs is there still."""
        found = self._machine
        busy = self._stop_wanted or self._moving is not None
        saved = found is not None and found.stands is Stands.SAVED and found.why in ("", KEEPS_ROOM)
        return saved and not busy

    async def suspend(self) -> None:
        """Its room is free as soon as its memory is kept, where its provider frees it."""
        if not self.may_suspend:
            raise StartRefused(NOT_SUSPENDED, field="session", status=409)
        await self._move(self._stand_still(), words.SUSPENDING)

    async def resume(self) -> None:
        """In room of its own, for which machines that wait give way where it has been freed."""
        if not self.may_resume:
            raise StartRefused(NOT_RESUMED, field="session", status=409)
        await self._move(self._go_on(), words.RESUMING)

    async def _move(self, work: Coroutine, said: str) -> None:
        """Go through with it, whoever stops waiting; raises StartRefused."""
        # At once, so that no second one begins.
        self._moving = words.suspended(said, datetime.now(UTC))
        self.looked()
        self._move_task = self.machines.keep(self._carry_out(work))
        refused = await asyncio.shield(self._move_task)
        if refused is not None:
            raise refused

    async def _carry_out(self, work: Coroutine) -> StartRefused | None:
        try:
            await work
        except Silent as error:
            self.log.warning("%s: %s", self.session_key, error)
            return StartRefused(words.NOT_MOVED, field="session", status=503)
        except NoRoom as error:
            return StartRefused(f"{words.NO_ROOM} {error.words}", field="session", status=503)
        except Refused as error:
            self.log.error("%s: %s", self.session_key, error)
            return StartRefused(error.words, field="session", status=503)
        except Exception:
            self.log.exception("%s: whether it stands still or goes on is not known", self.session_key)
            return StartRefused(words.NOT_MOVED, field="session", status=500)
        finally:
            self._moving = None
            self.looked()
        return None

    async def _stand_still(self) -> None:
        name = self.machine_name
        await self.machines.make.suspend(name)
        await self.machines.watch.fresh()  # whose books then give its room to others

    async def _go_on(self) -> None:
        machines, name = self.machines, self.machine_name
        if self._machine.why == KEEPS_ROOM:
            await machines.make.resume(name)
            await machines.watch.fresh()
            return
        resources = tags.resources_of(self._machine.tags)
        if resources is None:
            raise Refused(NOT_RESUMED, f"{name}: its tags do not say what it takes")
        with machines.pool.resting():
            await self._with_room(resources, lambda: machines.take_again(name, resources))
            try:
                await machines.make.resume(name)
                await machines.watch.fresh()
            except Silent:  # it may be on its way all the same, and then needs the room
                machines.keep(self._until_known(name))
                raise
            except BaseException:
                machines.has_returned(name)
                raise
            machines.has_returned(name)

    async def _until_known(self, name: str) -> None:
        """Keep the room of one that may be going on, for as long as that may take."""
        machines = self.machines
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UNDECIDED):
                while (found := machines.watch.seen.get(name)) and found.stands is Stands.SAVED:
                    await machines.watch.next_turn()
        machines.has_returned(name)
