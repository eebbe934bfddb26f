"""Servers that stand still as their session's owner wishes, by nova's own suspend, and go on.

Nova frees nothing by that: a suspended server keeps its place on its host and what it takes of the quota, so
the books keep it too. Nova answers before it is done. What it could not go on with whole boots anew, and that
machine's claim is used: it switches itself off, and the session has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from ..provider import Refused, Silent
from .states import OWNERS, fault

#: Seconds between two looks at a server that is on its way.
_LOOK = 0.5
_NOT_STILL = "The facility's cloud could not suspend this session, and it runs on. Try again later."
_NOT_ON = "The facility's cloud could not have this session go on. Tell the facility's staff."


class Suspends:
    """Mixed into `OpenStackProvider`."""

    @property
    def can_suspend(self) -> bool:
        """As its setting says."""
        return self.suspending

    async def suspend(self, name: str) -> None:
        """Marked first, for what staff suspend is not its owner's to resume."""
        await self._write(name, {OWNERS: "yes"})
        try:
            await self._move(name, "suspend", "SUSPENDED", _NOT_STILL)
        except Refused:
            with contextlib.suppress(Silent, Refused):
                await self._write(name, {OWNERS: ""})
            raise

    async def resume(self, name: str) -> None:
        """The mark goes last: without it nobody could try again."""
        await self._move(name, "resume", "ACTIVE", _NOT_ON)
        with contextlib.suppress(Silent, Refused):  # it runs, which is what counts
            await self._write(name, {OWNERS: ""})

    async def _move(self, name: str, action: str, wanted: str, words: str) -> None:
        server = await self._id(name)
        end = time.monotonic() + self.suspend_timeout
        await self._act(server, {action: None})
        while time.monotonic() < end:
            try:
                found = await self._get(server)
            except Silent:  # which says nothing of the server
                found = {}
            if "name" in found and found.get("OS-EXT-STS:task_state") is None:
                if found["status"] == wanted:
                    return
                raise Refused(words, f"{name}: {action}: {found['status']} {fault(found)}")
            await asyncio.sleep(_LOOK)
        raise Silent(f"{name}: nova is at its {action} for {self.suspend_timeout:g} s")
