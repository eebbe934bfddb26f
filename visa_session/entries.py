"""Tell the hub who came and who went, in order, until it has taken it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque

from .away import Visit, now
from .contract import ENTRIES_PATH
from .hubcalls import HubCalls, HubFailed

log = logging.getLogger("visa")

#: Entries kept for a hub that is away, and sent with one request. Beyond it the oldest are given up.
KEPT, AT_ONCE = 2000, 100
#: Seconds before the second attempt, and at most between two.
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
#: Seconds the hub has for the last ones when the session ends.
AT_THE_END = 1.0


class Entries:
    """What the hub has not taken yet. Each entry has a key, so that one sent twice counts once."""

    def __init__(self, hub: HubCalls):
        self.hub = hub
        self._waiting: deque[dict] = deque()
        self._news = asyncio.Event()
        self._given_up = 0

    def add(self, what: str, visit: Visit) -> None:
        """Somebody entered or left."""
        entry = {"key": uuid.uuid4().hex, "name": visit.name, "role": str(visit.role), "what": what}
        self._waiting.append(entry | {"at": now(), "address": visit.address})
        if len(self._waiting) > KEPT:
            self._waiting.popleft()
            self._given_up += 1
            if self._given_up % 100 == 1:
                log.error("The hub is away for long: %s entries are given up", self._given_up)
        self._news.set()

    async def run(self) -> None:
        """Send them as they come, for as long as the session lasts."""
        while True:
            await self._news.wait()
            self._news.clear()
            wait = FIRST_WAIT
            while self._waiting:
                if await self._send():
                    wait = FIRST_WAIT
                else:
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, LONGEST_WAIT)

    async def finish(self) -> None:
        """Send what is left; what the hub does not take within a second is given up."""
        try:
            async with asyncio.timeout(AT_THE_END):
                while self._waiting and await self._send():
                    pass
        except TimeoutError:
            pass

    async def _send(self) -> bool:
        batch = list(self._waiting)[:AT_ONCE]
        try:
            status, text = await self.hub.call("POST", ENTRIES_PATH, {"entries": batch})
        except HubFailed as error:
            log.warning("The hub could not be told who came and went, trying again: %s", error)
            return False
        if status not in (429, 401, 403, 404) and status < 500:
            if status >= 400:  # it will not be taken the next time either
                log.error("The hub does not take %s entries (%s): %s", len(batch), status, text[:300])
            sent = {entry["key"] for entry in batch}
            self._waiting = deque(entry for entry in self._waiting if entry["key"] not in sent)
            return True
        log.info("The hub does not take who came and went (%s), trying again", status)
        return False
