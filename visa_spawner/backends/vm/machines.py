"""All machines of a hub: their provider, the watch, the books and the pool, shared by every session."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from traitlets import TraitError
from traitlets.config import Config, LoggingConfigurable
from traitlets.utils.importstring import import_item

from ...session import Availability, NodeState, Resources
from .. import meters
from ..placement import Placement, Taken
from ..unattended import Unattended
from . import tags
from .pool import Pool
from .provider import KEEPS_ROOM, Machine, Provider, Refused, Silent, Stands
from .settings import PROVIDERS, VMSettings
from .watch import Watch


class Claim(Protocol):
    """Whoever answers for a machine: a backend that started it or found it again."""

    def noticed(self) -> None:
        """The watch has looked again."""


@dataclass
class Leftover:
    """A machine that should be gone and could not be removed yet, for operators."""

    words: str
    retrying: bool = False


class Machines(Unattended, VMSettings, LoggingConfigurable):
    """The machines of one hub in this process; get it with `Machines.of`."""

    task_failed = "A task about machines failed"
    _known: ClassVar[dict[str, Machines]] = {}

    @classmethod
    def of(cls, config: Config) -> Machines:
        """Those that a hub's configuration describes, made at first use; raises TraitError."""
        own = {
            name: value
            for name, value in config.get("VMSpawner", {}).items()
            if name in VMSettings.class_trait_names(config=True)
        }
        mark = json.dumps(own, sort_keys=True, default=repr)
        if mark not in cls._known:
            cls._known[mark] = cls(config=Config({**config, "Machines": own}))
        return cls._known[mark]

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not self.hub_id:
            raise TraitError("VMSpawner.hub_id must be set: a name of this hub's own at its provider")
        make = import_item(PROVIDERS.get(self.provider, self.provider))
        self.make: Provider = make(hub_id=self.hub_id, config=self.config)
        self.placement = Placement(tuple(self.make.hosts))
        self.claims: dict[str, tuple[str, Claim]] = {}
        #: What should be gone and is not yet, by name: also in the hub's log.
        self.leftovers: dict[str, Leftover] = {}
        self.pool = Pool(self)
        #: Those that go on and have their room again already, whatever the list says.
        self.returning: set[str] = set()
        self.closed = False
        self._watch: Watch | None = None

    @property
    def watch(self) -> Watch:
        """The look at all machines; begins at first use, which needs a running event loop."""
        if self._watch is None:
            log = self.log if isinstance(self.log, logging.Logger) else logging.getLogger(__name__)
            self._watch = Watch(
                self.make,
                self._follow,
                interval=self.watch_interval,
                idle_interval=self.idle_watch_interval,
                log=log,
            )
            self._watch.busy = lambda: bool(self.claims or self.leftovers or self._watch.seen)
        return self._watch

    async def close(self) -> None:
        """Stop watching; machines run on."""
        await self.end_tasks()
        if self._watch is not None:
            await self._watch.close()
        self.make.close()
        self.closed = True
        for mark, machines in list(self._known.items()):
            if machines is self:
                del self._known[mark]

    def name(self, nonce: str) -> str:
        """A machine's name, known before it is made. Any account of its host reads it: it names nobody."""
        return f"visa-{self.hub_id}-{nonce}"

    # Room ----------------------------------------------------------------------------------------------
    def reserve(self, name: str, resources: Resources) -> Taken:
        """Take room for a machine; raises NoRoom."""
        return self.placement.reserve(name, resources)

    def take_again(self, name: str, resources: Resources) -> Taken:
        """Room for a suspended machine that is to go on, on the host where it is; raises NoRoom."""
        found = self.watch.seen.get(name)
        host = found.tags.get(tags.HOST, "") if found else ""
        if name in self.returning:  # it was tried before, and nothing is known of that
            self.placement.release(name)
        taken = self.placement.reserve(name, resources, among={host})
        self.returning.add(name)
        return taken

    def has_returned(self, name: str) -> None:
        """What the list says of it counts again."""
        self.returning.discard(name)
        self.watch.look_soon()

    def availability(self, resources: Resources) -> Availability:
        """What could start now: machines that wait are no session's, and go for one."""
        books = Placement(self.placement.nodes, set(self.placement.answering), closed=self.placement.closed)
        for name, taken in self.placement.taken.items():
            found = self.watch.seen.get(name)
            if name in self.claims or found is None or not tags.waits(found.tags):
                books.taken[name] = taken
        return books.availability(resources)

    def states(self) -> list[NodeState]:
        """The hosts as they were last seen."""
        watch, answer = self.watch, []
        keys = {key for key, _ in self.claims.values()}
        for host in self.placement.nodes:
            cpus, memory, gpus = self.placement.free(host)
            here = {
                one.tags.get(tags.SESSION, "")
                for one in watch.seen.values()
                if one.tags.get(tags.HOST) == host.name and one.stands is not Stands.ENDED
            }
            waiting = sum(
                tags.waits(one.tags) for one in watch.seen.values() if one.tags.get(tags.HOST) == host.name
            )
            answer.append(
                NodeState(
                    name=host.name,
                    answers=watch.answering,
                    since=watch.since,
                    drained=host.drained,
                    cpus=host.cpus,
                    memory=host.memory,
                    gpus=len(host.gpus),
                    free_cpus=cpus,
                    free_memory=memory,
                    free_gpus=gpus,
                    sessions=tuple(
                        sorted(filter(None, here | (keys if len(self.placement.nodes) == 1 else set())))
                    ),
                    waiting=waiting,
                )
            )
        return answer

    # Claims, and the end -------------------------------------------------------------------------------
    def claim(self, name: str, key: str, claim: Claim) -> None:
        """Answer for a machine from now on."""
        self.claims[name] = (key, claim)

    def forget(self, name: str) -> None:
        """The machine is gone: its room is free and nobody answers for it."""
        self.placement.release(name)
        self.claims.pop(name, None)
        self.leftovers.pop(name, None)

    async def dispose(self, name: str, *, grace: float = 0, after: asyncio.Future | None = None) -> None:
        """End and remove a machine; harmless when it is gone.

        `grace` is the time in seconds to end by itself; `after` a call under way that may still make it.
        Raises Silent or Refused when it could not be removed: it is then kept among the `leftovers`, keeps
        its room, and is tried again at each look.
        """
        if after is not None:
            await asyncio.wait([after])
        try:
            if grace:
                await self._end_in_order(name, grace)
            await self.make.delete(name)
        except Refused as error:
            if error.reason != "gone":
                self._left(name, error)
                raise
        except Silent as error:
            self._left(name, error)
            raise
        self.forget(name)

    async def _end_in_order(self, name: str, grace: float) -> None:
        """Ask it to end, and wait until it has; one that does not hear is ended all the same."""
        with contextlib.suppress(TimeoutError, Refused), self.watch.hurried():
            async with asyncio.timeout(grace):
                await self.make.shut_down(name)
                while (found := self.watch.seen.get(name)) and found.stands is not Stands.ENDED:
                    await self.watch.next_turn()

    def _left(self, name: str, error: Exception) -> None:
        if name not in self.leftovers:
            self.leftovers[name] = Leftover(str(error))
            self.log.error("Machine %s could not be removed: %s", name, error)

    def dispose_soon(self, name: str, after: asyncio.Future | None = None) -> asyncio.Task:
        """As `dispose`, by itself: failures are in the log and among the leftovers."""

        async def quietly() -> None:
            with contextlib.suppress(Silent, Refused):
                await self.dispose(name, after=after)

        return self.keep(quietly())

    async def sweep(self, live: Callable[[], set[str]]) -> list[str]:
        """Remove this hub's machines that belong to no session; gives their names.

        What carries no tag of this hub's is not in the provider's list, and never touched. `live` is asked
        only after the list, so that what starts meanwhile is not taken for a leftover.
        """
        await self.watch.fresh()
        if not self.watch.answering:
            return []
        listed = list(self.watch.seen.values())
        keys = live()
        unanswered = keys - {key for key, _ in self.claims.values()}
        removed = []
        for machine in listed:
            if machine.name in self.claims or self.pool.knows(machine):
                continue
            # A session that is listed but whose spawner is not loaded has nobody to answer for it yet.
            if machine.tags.get(tags.SESSION, "") in unanswered:
                continue
            with contextlib.suppress(Silent, Refused):
                await self.dispose(machine.name)
                removed.append(machine.name)
        with contextlib.suppress(Silent, Refused):  # the next sweep finds the same
            await self.make.sweep({machine.name for machine in listed} | set(self.claims))
        return removed

    # A look --------------------------------------------------------------------------------------------
    def _follow(self) -> None:
        hosts = [host.name for host in self.placement.nodes]
        meters.MACHINES_ANSWERING.labels(self.provider).set(bool(self.watch.answering))
        meters.LEFTOVERS.labels("vm").set(len(self.leftovers))
        if not self.watch.answering:
            for host in hosts:
                self.placement.silent(host)
        else:
            self._keep_books(hosts)
        for _, claim in list(self.claims.values()):
            claim.noticed()
        if self.watch.answering:
            self.pool.turned()
            for name, leftover in list(self.leftovers.items()):
                if not leftover.retrying:
                    leftover.retrying = True
                    self.keep(self._retry(name, leftover))

    def _keep_books(self, hosts: list[str]) -> None:
        listed: dict[str, dict[str, Taken]] = {host: {} for host in hosts}
        for machine in self.watch.seen.values():
            if (taken := self._takes(machine)) is not None and taken.node in listed:
                listed[taken.node][machine.name] = taken
        # What is suspended takes nothing, whoever answers for it.
        still = {one.name for one in self.watch.seen.values() if _frees(one)} - self.returning
        mine = {*self.claims, *self.leftovers, *self.pool.working} - still
        for host in hosts:
            self.placement.follow(host, listed[host], mine)

    def _takes(self, machine: Machine) -> Taken | None:
        if machine.stands is Stands.ENDED or _frees(machine):
            return None
        try:
            return tags.taken_from(machine.tags)
        except ValueError as error:
            self.log.warning("Machine %s: %s", machine.name, error)
            return None

    async def _retry(self, name: str, leftover: Leftover) -> None:
        try:
            await self.dispose(name)
            self.log.info("Machine %s is removed now", name)
        except (Silent, Refused) as error:
            leftover.words = str(error)
        finally:
            leftover.retrying = False

    @staticmethod
    def now() -> str:
        """The time as tags have it: seconds since 1970."""
        return str(int(time.time()))


def _frees(machine: Machine) -> bool:
    """Whether it is suspended, and others may have its room."""
    return machine.stands is Stands.SAVED and machine.why != KEEPS_ROOM
