"""Python's collector of garbage, in a process that holds much which stays.

It looks through all that lives again and again, and nothing else has its turn meanwhile: with 5,000 sessions
0.15 s, every nine seconds. Here what has outlived one full look is looked at no more (`gc.freeze`, which web
servers use for the same end), so that each look is at what is new since the last. What of the rest has become
garbage, in a circle that nothing but the collector ends, is looked for a few times a day.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from functools import wraps

from jupyterhub.app import JupyterHub

log = logging.getLogger("jupyterhub.visa.collecting")

#: Seconds between two looks at all there is.
ALL = 6 * 3600.0
_OLDEST = 2


class Collector:
    """Of this process; it does nothing until `begin`."""

    def __init__(self, clock=time.monotonic):
        self._clock, self._looked_at_all = clock, clock()

    def begin(self) -> None:
        """What there is stays. Once is enough."""
        self._looked_at_all = self._clock()
        gc.freeze()
        if self._after not in gc.callbacks:
            gc.callbacks.append(self._after)

    def end(self) -> None:
        """As Python has it."""
        if self._after in gc.callbacks:
            gc.callbacks.remove(self._after)
        gc.unfreeze()

    def look_at_all(self) -> None:
        """Look for garbage in what was taken to stay as well, when it is time; stops all else meanwhile."""
        if self._clock() - self._looked_at_all < ALL:
            return
        self._looked_at_all = began = self._clock()
        gc.unfreeze()
        found = gc.collect()
        log.info("%d objects of garbage found in %.2f s", found, self._clock() - began)

    def _after(self, phase: str, info: dict) -> None:
        if phase == "stop" and info["generation"] == _OLDEST:
            gc.freeze()


collector = Collector()


def join_hub() -> None:
    """Have the hub's process collect so from when it has found its sessions; harmless when done already."""
    if getattr(JupyterHub.init_spawners, "collects", False):
        return
    found = JupyterHub.init_spawners

    @wraps(found)
    async def init_spawners(app):
        # What is made now stays, and meanwhile there is no garbage.
        gc.disable()
        asyncio.get_running_loop().call_soon(_collect_again)
        count = await found(app)
        gc.freeze()
        return count

    init_spawners.collects = True
    JupyterHub.init_spawners = init_spawners


def _collect_again() -> None:
    """All sessions are there, and the hub has its first turn."""
    collector.begin()
    gc.enable()
