"""Sees to it that as many containers wait as should: makes, finds again, replaces, lets go.

It acts on the turns of the nodes' watches alone, so that it asks nobody anything of its own; only which image
a name stands for is asked again every `idle_watch_interval`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ...session import Image, Start, StartRefused, WarmPair
from .. import images
from ..engine import EngineRefused, EngineSilent
from ..hands.client import Hands, possible_on
from ..nodes import HOST_NETWORK, Node
from ..spec import Limits, image_name
from ..watch import HUB_LABEL, Watch
from . import container
from .container import Kind, NotWaiting, Waiting
from .pool import Key, Pool
from .spec import WARM_LABEL, taken_waiting, waiting_spec, waits, warm_name

if TYPE_CHECKING:
    from ..fleet import Fleet

#: Seconds after a start took one in which no other is made: the session needs the cores then.
REST = 2.0
#: Seconds until one that could not be made is tried again: twice as long each time, at most so long.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
#: What goes wrong with a container is told in the log, and tried again.
FAULTS = (EngineRefused, EngineSilent, NotWaiting, StartRefused, ValueError, OSError)


class Tending:
    """Of one fleet's; idle until it is told which pairs there are."""

    def __init__(self, fleet: Fleet):
        self._fleet = fleet
        self.pool = Pool(fleet.placement, fleet.warm_memory, fleet.warm_most)
        self.hands = Hands()
        self._told = False
        self._template = ""
        self._limits = Limits(0, 0, 0, {})
        self._kinds: dict[str, dict[Key, Kind]] = {}
        self._kinds_as_of: dict[str, float] = {}
        self._taken_at: dict[str, float] = {}
        self._pauses: dict[tuple[str, Key], tuple[float, float]] = {}
        self._tasks: dict[str, asyncio.Task] = {}

    def tell(
        self,
        pairs: Iterable[WarmPair],
        starts: Iterable[Start],
        template: str,
        limits: Limits,
    ) -> None:
        """Which pairs there are, when their sessions were started lately, and how containers are made."""
        self.pool.pairs = {pair.key: pair for pair in pairs} if self.pool.memory else {}
        for start in starts:
            if (key := (start.profile, start.plan)) in self.pool.pairs:
                self.pool.starts.note(key, start.when)
        self._template, self._limits, self._told = template, limits, True
        for watch in self._fleet.watches.values():
            watch.look_soon()

    def close(self) -> None:
        """Let go of what waits: a hub that starts again finds it."""
        for one in self.pool.waiting.values():
            one.let_go()
        self.pool.waiting.clear()

    def knows(self, name: str) -> bool:
        """Whether a container is in the pool's books, or will be."""
        return self.pool.knows(name) or not self._told

    # A start -----------------------------------------------------------------------------------------
    def mark(self, node: Node, pair: WarmPair, image: str) -> str:
        """What a container of this image, by its digest, would be known by."""
        return self._kind_body(node, pair, image)["Labels"][WARM_LABEL]

    def took(self, node: str) -> None:
        """A start took one, or is done with it."""
        self._taken_at[node] = time.monotonic()

    def give_way(self, node: str) -> None:
        """Have those go whose room a session was given."""
        for one in self.pool.squeezed(node):
            self._fleet.log.info("Container %s on node %s gives way to a session", one.name, node)
            self._retire(one)

    def look_again(self, node: str) -> None:
        """Ask at the next turn which images there are: what waits is not made from them."""
        self._kinds_as_of.pop(node, None)

    # A turn of a node's watch ------------------------------------------------------------------------
    def turned(self, watch: Watch) -> None:
        """The watch has looked: begin what there is to do, if anything is."""
        node = watch.node
        self.pool.forget(watch.seen, watch.as_of, node.name)
        for one in self.pool.here(node.name):
            found = watch.seen.get(one.name)
            if one.since < watch.as_of and (found is None or not found.alive):
                self._ended(one)
        task = self._tasks.get(node.name)
        if self._told and (task is None or task.done()) and self._something_to_do(watch):
            self._tasks[node.name] = self._fleet.keep(self._tend(watch))

    def _something_to_do(self, watch: Watch) -> bool:
        node, kinds = watch.node, self._kinds.get(watch.node.name, {})
        if self._strangers(watch):
            return True
        if not self._may_wait(node):
            return bool(self.pool.here(node.name))
        return (
            self._kinds_due(node)
            or bool(self.pool.surplus(node.name, kinds))
            or self._next(node, kinds) is not None
        )

    def _may_wait(self, node: Node) -> bool:
        return (
            bool(self.pool.pairs)
            and possible_on(node)
            # Its sessions have the machine's own name, which none may change.
            and node.network != HOST_NETWORK
            and self._fleet.placement.takes_new(node)
        )

    def _strangers(self, watch: Watch) -> list[str]:
        """Those that wait and are in no book: an earlier hub's."""
        return [
            name
            for name, seen in watch.seen.items()
            if waits(name, seen.labels)
            and seen.labels[HUB_LABEL] == self._fleet.hub_id
            and not self.pool.knows(name)
            and name not in self._fleet.leftovers
        ]

    async def _tend(self, watch: Watch) -> None:
        node = watch.node
        kinds: dict[Key, Kind] = {}
        if self._may_wait(node):
            if self._kinds_due(node):
                await self._look_at_images(node)
            kinds = self._kinds.get(node.name, {})
        for name in self._strangers(watch):
            await self._adopt(watch, name, kinds)
        for one in self.pool.surplus(node.name, kinds):
            self._fleet.log.info("Container %s on node %s need not wait any more", one.name, node.name)
            self._retire(one)
        while self._may_wait(node) and (kind := self._next(node, kinds)) is not None:
            await self._make(node, kind)

    def _next(self, node: Node, kinds: dict[Key, Kind]) -> Kind | None:
        """What should be made now."""
        now = time.monotonic()
        resting = now - self._taken_at.get(node.name, -REST) < REST
        there = {one.key for one in self.pool.here(node.name)}
        for kind in self.pool.lacking(node.name, kinds):
            paused = self._pauses.get((node.name, kind.pair.key), (0.0, 0.0))[0]
            if now >= paused and not (resting and kind.pair.key in there):
                return kind
        return None

    # Images ------------------------------------------------------------------------------------------
    def _kinds_due(self, node: Node) -> bool:
        asked = self._kinds_as_of.get(node.name)
        return asked is None or time.monotonic() - asked >= self._fleet.idle_watch_interval

    async def _look_at_images(self, node: Node) -> None:
        """Which image each pair's name stands for there now; what cannot be told stays as it is."""
        self._kinds_as_of[node.name] = time.monotonic()
        engine, found = self._fleet.engine(node.name), {}
        recipes: dict[str, Image | None] = {}
        try:
            for key, pair in self.pool.pairs.items():
                if pair.image not in recipes:
                    name = image_name(self._template, pair.image)
                    recipes[pair.image] = await images.image_on(engine, name)
                if (image := recipes[pair.image]) is not None:
                    found[key] = Kind(pair, image, self._kind_body(node, pair, image.digest))
        except FAULTS as error:
            self._fleet.log.warning("What could wait on node %s is not known: %s", node.name, error)
            return
        self._kinds[node.name] = found

    def _kind_body(self, node: Node, pair: WarmPair, image: str) -> dict:
        return waiting_spec(pair, node=node, image=image, hub_id=self._fleet.hub_id, limits=self._limits)

    # One container -----------------------------------------------------------------------------------
    async def _make(self, node: Node, kind: Kind) -> None:
        name = warm_name(self._fleet.hub_id, secrets.token_hex(4))
        self.pool.working.add(name)
        self._fleet.placement.wait(name, taken_waiting(node.name, self.pool.size(kind)))
        try:
            one = await container.made(self._fleet, node, kind, name)
        except FAULTS as error:
            self._could_not(node.name, kind.pair.key, f"cannot be made: {error}")
            await self._undo(node, name)
            return
        self._pauses.pop((node.name, kind.pair.key), None)
        self._enter(one)

    async def _adopt(self, watch: Watch, name: str, kinds: dict[Key, Kind]) -> None:
        """Take in one that an earlier hub made, where a new one would be the same; else remove it."""
        node, labels = watch.node, watch.seen[name].labels
        kind = next((kind for kind in kinds.values() if kind.mark == labels.get(WARM_LABEL)), None)
        self.pool.working.add(name)
        self._fleet.placement.wait(name, taken_waiting(node.name))
        try:
            if kind is None:
                raise NotWaiting("it is not what a new one would be")
            one = await container.seen(self._fleet.engine(node.name), node, name, kind.image)
        except FAULTS as error:
            self._fleet.log.info("Container %s on node %s is not kept: %s", name, node.name, error)
            await self._undo(node, name)
            return
        self._fleet.log.info("Container %s on node %s waits on", name, node.name)
        self._enter(one)

    def _enter(self, one: Waiting) -> None:
        self.pool.add(one)
        one.when_ended(partial(self._ended, one))
        # What a session was given while this one was being made.
        self.give_way(one.node)

    async def _undo(self, node: Node, name: str) -> None:
        """Remove what was made of one that does not wait; what cannot be is among the fleet's leftovers."""
        self._fleet.placement.wait_no_more(name)
        self.pool.past[name] = node.name, time.monotonic()
        self.pool.working.discard(name)
        with contextlib.suppress(EngineSilent, EngineRefused):
            await self._fleet.dispose(node.name, name)

    def _ended(self, one: Waiting) -> None:
        """It died while it waited."""
        if one.name in self.pool.waiting:
            self._could_not(one.node, one.key, f"{one.name} ended while it waited")
            self._retire(one)

    def _retire(self, one: Waiting) -> None:
        self.pool.remove(one)
        one.let_go()
        self._fleet.dispose_soon(one.node, one.name)

    def _could_not(self, node: str, key: Key, words: str) -> None:
        _, before = self._pauses.get((node, key), (0.0, 0.0))
        pause = min(LONGEST_PAUSE, before * 2 or FIRST_PAUSE)
        self._pauses[node, key] = time.monotonic() + pause, pause
        what = "/".join(key)
        self._fleet.log.warning(
            "A waiting container of %s on node %s: %s; tried again in %g s", what, node, words, pause
        )
