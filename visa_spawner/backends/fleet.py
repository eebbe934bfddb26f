"""All nodes of a hub: their engines, watches and books, shared by every session in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Protocol

from traitlets import TraitError
from traitlets.config import Config, LoggingConfigurable

from ..session import NodeState, Resources
from . import images, meters
from .by_node import ByNode
from .engine import Engine, EngineRefused, EngineSilent
from .nodes import Node, read_nodes
from .placement import Placement, Taken
from .settings import FleetSettings
from .spec import SESSION_LABEL, could_be, taken_from
from .unattended import Unattended
from .warm.spec import taken_waiting, waits
from .warm.tending import Tending
from .watch import HUB_LABEL, Seen, Watch


class Claim(Protocol):
    """Whoever answers for a container: a backend that started it or found it again."""

    def noticed(self, watch: Watch) -> None:
        """The watch of the container's node has looked again."""


@dataclass
class Leftover:
    """A container that should be gone and could not be removed yet, for operators."""

    node: str
    container: str
    words: str
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    retrying: bool = False


class Fleet(Unattended, FleetSettings, LoggingConfigurable):
    """The nodes of one hub in this process; get it with `Fleet.of`."""

    task_failed = "A container task failed"
    _known: ClassVar[dict[str, Fleet]] = {}
    #: A hub has one configuration, for whose sessions this is asked thousands of times at its start.
    _last: ClassVar[tuple[Config, Fleet] | None] = None

    @classmethod
    def of(cls, config: Config) -> Fleet:
        """The fleet that a hub's configuration describes, made at first use.

        Raises TraitError when the configuration is wrong.
        """
        if cls._last is not None and cls._last[0] is config and not cls._last[1].closed:
            return cls._last[1]
        own = Config(
            {
                "Fleet": {
                    name: value
                    for name, value in config.get("ContainerBackend", {}).items()
                    if name in FleetSettings.class_trait_names(config=True)
                }
            }
        )
        mark = json.dumps(own, sort_keys=True, default=repr)
        if mark not in cls._known:
            cls._known[mark] = cls(config=own)
        cls._last = config, cls._known[mark]
        return cls._known[mark]

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not self.hub_id:
            raise TraitError("ContainerBackend.hub_id must be set: a name of this hub's own on its engines")
        self.placement = Placement(read_nodes(self.nodes))
        self.by_name: dict[str, Node] = {node.name: node for node in self.placement.nodes}
        self.engines: dict[str, Engine] = {}
        self.watches: dict[str, Watch] = {}
        self.claims: ByNode[tuple[str, str, Claim]] = ByNode(lambda claim: claim[0])
        #: The packages of images, by digest, as `SessionPlan` has them: an image never changes.
        self.packages: dict[str, tuple[dict[str, str], ...]] = {}
        #: What should be gone and is not yet, by container name: also in the hub's log.
        self.leftovers: dict[str, Leftover] = {}
        #: Its like is another one from then on.
        self.closed = False
        self.warm = Tending(self)

    def start(self) -> None:
        """Begin to watch; harmless when it does already. Needs a running event loop."""
        if self.watches:
            return
        for node in self.placement.nodes:
            engine = Engine(node, timeout=self.engine_timeout, watch_timeout=self.watch_timeout)
            self.engines[node.name] = engine
            self.watches[node.name] = Watch(
                engine,
                self._follow,
                busy=partial(self._busy, node.name),
                interval=self.watch_interval,
                idle_interval=self.idle_watch_interval,
                log=self.log if isinstance(self.log, logging.Logger) else logging.getLogger(__name__),
            )

    async def ready(self) -> None:
        """Return when every node has been asked once, whether it answered or not."""
        self.start()
        await asyncio.gather(*(watch.asked_once() for watch in self.watches.values()))

    async def look(self) -> None:
        """Return when every node has been asked again, whether it answered or not."""
        self.start()
        await asyncio.gather(*(watch.fresh() for watch in self.watches.values()))

    async def close(self) -> None:
        """Stop watching; what runs on the nodes runs on."""
        await self.end_tasks()
        for watch in self.watches.values():
            await watch.close()
        for engine in self.engines.values():
            engine.close()
        self.warm.close()
        self.watches, self.engines, self.closed = {}, {}, True
        for mark, fleet in list(self._known.items()):
            if fleet is self:
                del self._known[mark]

    def states(self) -> list[NodeState]:
        """The nodes as they were last seen, in the order of the settings."""
        answer = []
        for node in self.placement.nodes:
            watch = self.watches.get(node.name)
            keys = {key for _, key, _ in self.claims.on(node.name).values()}
            for seen in watch.seen.values() if watch else ():
                if seen.labels.get(HUB_LABEL) == self.hub_id and not seen.ended:
                    keys.add(seen.labels.get(SESSION_LABEL, ""))
            cpus, memory, gpus = self.placement.free(node)
            answer.append(
                NodeState(
                    name=node.name,
                    answers=watch.answering if watch else None,
                    since=watch.since if watch else None,
                    drained=node.drained,
                    cpus=node.cpus,
                    memory=node.memory,
                    gpus=len(node.gpus),
                    free_cpus=cpus,
                    free_memory=memory,
                    free_gpus=gpus,
                    sessions=tuple(sorted(filter(None, keys))),
                    waiting=len(self.warm.pool.here(node.name)),
                )
            )
        return answer

    def engine(self, node: str) -> Engine:
        """A node's engine; raises EngineSilent for a node that the settings no longer name."""
        self.start()
        if node not in self.engines:
            raise EngineSilent(f"node {node} is not in the settings")
        return self.engines[node]

    def reserve(
        self, container: str, key: str, resources: Resources, claim: Claim, among: set[str] | None = None
    ) -> Taken:
        """Take room for a container and answer for it from now on, in one step; raises NoRoom.

        `among`: the nodes that will do; None for all.
        """
        taken = self.placement.reserve(container, resources, among)
        self.claims[container] = (taken.node, key, claim)
        self.warm.give_way(taken.node)
        return taken

    def claim(self, container: str, node: str, key: str, claim: Claim) -> None:
        """Answer for a container that an earlier hub process made."""
        self.claims[container] = (node, key, claim)

    def forget(self, container: str) -> None:
        """The container is gone: its room is free and nobody answers for it."""
        self.placement.release(container)
        self.claims.pop(container, None)
        self.leftovers.pop(container, None)

    async def dispose(
        self, node: str, container: str, *, grace: int = 0, after: asyncio.Future | None = None
    ) -> None:
        """End and remove a container and its anonymous volumes; harmless when it is gone.

        `grace` is the time in seconds to end by itself; `after` a call under way that may still make the
        container. Raises EngineSilent or EngineRefused when it could not be removed: it is then kept
        among the `leftovers`, keeps its room, and is tried again at each look.
        """
        if after is not None:
            await asyncio.wait([after])
        try:
            engine = self.engine(node)
            if grace:
                with contextlib.suppress(EngineRefused):
                    # Refused: gone, or never started. What matters is the removal's answer.
                    await engine.call(lambda client: client.stop(container, timeout=grace))
            for attempt in range(40):
                try:
                    await engine.call(lambda client: client.remove_container(container, v=True, force=True))
                except EngineRefused as error:
                    if error.status == 404:
                        break
                    if error.status != 409 or attempt == 39:
                        raise
                    await asyncio.sleep(0.25)  # another removal of it is under way
                else:
                    break
        except (EngineSilent, EngineRefused) as error:
            if container not in self.leftovers:
                self.leftovers[container] = Leftover(node, container, str(error))
                self.log.error("Container %s on node %s could not be removed: %s", container, node, error)
                if node in self.watches:
                    self.watches[node].look_soon()
            raise
        self.forget(container)

    def dispose_soon(self, node: str, container: str, after: asyncio.Future | None = None) -> asyncio.Task:
        """As `dispose`, by itself: failures are in the log and among the leftovers."""

        async def quietly() -> None:
            with contextlib.suppress(EngineSilent, EngineRefused):
                await self.dispose(node, container, after=after)

        return self.keep(quietly())

    async def sweep(self, live: Callable[[], set[str]]) -> list[str]:
        """Remove this hub's containers that belong to no session; gives their names.

        `live` is asked only after the engines have listed what exists, so that what starts meanwhile is
        not taken for a leftover. A silent node is left for the next time.
        """
        await self.look()
        listed = [
            (watch, seen)
            for watch in self.watches.values()
            if watch.answering
            for seen in watch.seen.values()
            if seen.labels.get(HUB_LABEL) == self.hub_id
        ]
        keys = live()
        unanswered = keys - {key for _, key, _ in self.claims.values()}
        removed = []
        for watch, seen in listed:
            # What waits is nobody's, and the pool's to keep or to remove.
            if seen.name in self.claims or waits(seen.name, seen.labels):
                continue
            key = seen.labels.get(SESSION_LABEL, "")
            # A session that is listed but whose spawner is not loaded has nobody to answer for it yet. What
            # waited before tells whose it is by its name alone.
            if key in unanswered or (not key and could_be(seen.name, self.hub_id, unanswered)):
                continue
            self.log.warning("Removing container %s of %r, which belongs to no session", seen.name, key)
            with contextlib.suppress(EngineSilent, EngineRefused):
                await self.dispose(watch.node.name, seen.name)
                removed.append(seen.name)
        return removed

    def _busy(self, node: str) -> bool:
        return bool(self.claims.on(node)) or any(
            leftover.node == node for leftover in self.leftovers.values()
        )

    def _follow(self, watch: Watch) -> None:
        node = watch.node.name
        meters.NODE_ANSWERING.labels(node).set(bool(watch.answering))
        meters.LEFTOVERS.labels("container").set(len(self.leftovers))
        if not watch.answering:
            self.placement.silent(node)
            return
        listed = {}
        for seen in watch.seen.values():
            if not seen.ended:
                try:
                    listed[seen.name] = self._takes(node, seen)
                except ValueError as error:
                    self.log.warning("Container %s on node %s: %s", seen.name, node, error)
        here = list(self.claims.on(node))
        kept = [name for name, leftover in self.leftovers.items() if leftover.node == node]
        self.placement.follow(node, listed, [*here, *kept])
        for name in here:
            if name in self.claims:
                self.claims[name][2].noticed(watch)
        self.warm.turned(watch)
        images.keep_boot_scripts(self, watch)
        for name in kept:
            if not self.leftovers[name].retrying:
                self.leftovers[name].retrying = True
                self.keep(self._retry(self.leftovers[name]))

    @staticmethod
    def _takes(node: str, seen: Seen) -> Taken:
        return taken_waiting(node) if waits(seen.name, seen.labels) else taken_from(node, seen.labels)

    async def _retry(self, leftover: Leftover) -> None:
        claim = self.claims.get(leftover.container)
        try:
            await self.dispose(leftover.node, leftover.container)
            self.log.info("Container %s on node %s is removed now", leftover.container, leftover.node)
            if claim:
                watch = self.watches[leftover.node]
                await watch.fresh()
                claim[2].noticed(watch)
        except (EngineSilent, EngineRefused) as error:
            leftover.words = str(error)
        finally:
            leftover.retrying = False
