"""Which profiles' images are there: asked of each backend now and then, whoever looks at the profiles."""

from __future__ import annotations

import asyncio
import logging
import time

from traitlets.config import Config

from .backends.base import Backend

#: Seconds for which an answer serves everybody.
FRESH = 5.0
log = logging.getLogger(__name__)


class Shelf:
    """The answers, by backend and recipe. Its methods are of one event loop."""

    def __init__(self):
        self._known: dict[tuple[type[Backend], str], bool] = {}
        self._asked: dict[tuple[type[Backend], str], tuple[float, asyncio.Task[bool]]] = {}

    async def lacks(self, kind: type[Backend], recipe: str, config: Config) -> bool:
        """Whether a start from this image would find none; what is not known is no lack.

        Only the first to ask waits: later ones get the last answer while it is asked for anew.
        """
        since, asking = self._asked.get((kind, recipe), (0.0, None))
        if asking is None or (asking.done() and time.monotonic() - since > FRESH):
            asking = asyncio.create_task(self._ask(kind, recipe, config))
            self._asked[kind, recipe] = time.monotonic(), asking
        if (kind, recipe) in self._known:
            return self._known[kind, recipe]
        # One who leaves must not take the answer from the others who wait for it.
        return await asyncio.shield(asking)

    async def _ask(self, kind: type[Backend], recipe: str, config: Config) -> bool:
        try:
            self._known[kind, recipe] = await kind.lacks(recipe, config)
        except Exception as error:
            log.debug("Whether the image %s is there is not known: %s", recipe, error)
            self._known[kind, recipe] = False
        return self._known[kind, recipe]
