"""What is free for each plan now: one question of the hub's for all who look at "New session"."""

from __future__ import annotations

import asyncio
import time

from .hub import HubClient, HubError, LoginNeeded
from .models import Options, Plan

#: For how many seconds an answer is good: the hub is asked no more often, however many look.
FRESH_SECONDS = 4.0
#: How long it is known which plans somebody may use, in seconds, and of how many people.
KEEP_SECONDS, KEEP_MOST = 900, 5000

#: A profile's name and a plan's.
Key = tuple[str, str]


class Rooms:
    """What is free is the same for everybody; which plans somebody may use, the hub has told them before."""

    def __init__(self, hub: HubClient, fresh_seconds: float = FRESH_SECONDS):
        self.hub, self.fresh_seconds = hub, fresh_seconds
        self._may: dict[str, tuple[float, frozenset[Key]]] = {}
        self._plans: dict[Key, tuple[float, Plan]] = {}
        self._failed: tuple[float, HubError] | None = None
        self._asking = asyncio.Lock()

    def note(self, owner: str, options: Options) -> None:
        """Take in what the hub has just answered somebody."""
        now = time.monotonic()
        plans = {(profile.name, plan.name): plan for profile in options.profiles for plan in profile.plans}
        self._plans.update({key: (now, plan) for key, plan in plans.items()})
        self._may.pop(owner, None)
        while len(self._may) >= KEEP_MOST:
            self._may.pop(next(iter(self._may)))
        self._may[owner] = (now, frozenset(plans))

    async def look(self, token: str, owner: str) -> dict[Key, Plan]:
        """The plans that somebody may use, as free as they are now; raises what the hub's call raises."""
        async with self._asking:
            if not self._fresh(owner):
                await self._ask(token, owner)
        _, keys = self._may[owner]
        return {key: self._plans[key][1] for key in keys}

    def _fresh(self, owner: str) -> bool:
        now = time.monotonic()
        noted, keys = self._may.get(owner, (-KEEP_SECONDS, frozenset()))
        return now - noted < KEEP_SECONDS and all(now - self._plans[k][0] < self.fresh_seconds for k in keys)

    async def _ask(self, token: str, owner: str) -> None:
        # A hub that is down is not asked by each of those who wait, one after the other.
        if self._failed and time.monotonic() - self._failed[0] < self.fresh_seconds:
            raise self._failed[1]
        try:
            self.note(owner, await self.hub.options(token))
        except LoginNeeded:
            raise
        except HubError as error:
            self._failed = (time.monotonic(), error)
            raise
        self._failed = None
