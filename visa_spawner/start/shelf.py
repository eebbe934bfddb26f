"""Which images are there: asked of each backend now and then, whoever and however many want to know."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import replace
from weakref import WeakValueDictionary

from traitlets.config import Config

from ..backends.base import Backend
from ..session import Image

#: Seconds for which an answer serves everybody.
FRESH = 5.0
#: Images whose answers are remembered; one nobody has asked about for the longest time goes first.
MOST = 300
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


class Images:
    """What the backends say of single images, also of digests that people make up.

    Its methods are of one event loop.
    """

    def __init__(self):
        self._asked: OrderedDict[tuple[type[Backend], str, str], tuple[float, asyncio.Task[Image | None]]]
        self._asked = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def image(
        self, person: str, kind: type[Backend], recipe: str, digest: str, config: Config
    ) -> Image | None:
        """As `Backend.image` says or raises, at most `FRESH` seconds old and without packages.

        All who ask meanwhile get one answer. A person has one new question at a time; their next one waits.
        """
        key = kind, recipe, digest
        asking = self._shared(key)
        if asking is None:
            async with self._turns.setdefault(person, asyncio.Lock()):
                # Somebody may have asked it while this one waited.
                asking = self._shared(key) or self._begin(key, config)
                await asyncio.wait({asking})
        # One who leaves must not take the answer from the others who wait for it.
        return await asyncio.shield(asking)

    def _shared(self, key: tuple[type[Backend], str, str]) -> asyncio.Task[Image | None] | None:
        since, asking = self._asked.get(key, (0.0, None))
        if asking is None or (asking.done() and time.monotonic() - since > FRESH):
            return None
        self._asked.move_to_end(key)
        return asking

    def _begin(self, key: tuple[type[Backend], str, str], config: Config) -> asyncio.Task[Image | None]:
        asking = asyncio.create_task(_image(*key, config))
        # Where all who asked have left, nobody reads a failure.
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._asked[key] = time.monotonic(), asking
        self._asked.move_to_end(key)
        while len(self._asked) > MOST:
            self._asked.popitem(last=False)
        return asking


async def _image(kind: type[Backend], recipe: str, digest: str, config: Config) -> Image | None:
    found = await kind.image(recipe, digest, config)
    return found and replace(found, packages=())
