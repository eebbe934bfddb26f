"""Machines that are up and nobody's: each is given to one session, once, and is gone with it.

A machine waits for as long as its tags say that it is nobody's; a start changes them before it hands anything
over. So a hub that starts anew finds the pool in the provider's list, and no machine is anybody's twice.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ...session import Image, Resources, StartRefused, WarmPair
from ..placement import NoRoom
from ..warm.fingerprint import fingerprint
from . import tags
from .provider import Machine, Order, Refused, Silent, Stands

if TYPE_CHECKING:
    from .machines import Machines

Key = tuple[str, str]

#: Seconds until a pair whose machine could not be made is tried again.
PAUSE = 60.0
#: Seconds after a start in which none is made, nor while one is under way: sessions need the host then.
REST = 5.0
#: Seconds between two questions which disk a recipe has now.
IMAGES = 30.0
FAULTS = (Silent, Refused, NoRoom, StartRefused, ValueError, OSError)


def order_for(
    machines: Machines, name: str, image: Image, resources: Resources, disk: int, more: dict[str, str]
) -> Order:
    """A machine for such a session, with room taken for it, in whole cores; raises NoRoom."""
    resources = replace(resources, cpus=max(1, math.ceil(resources.cpus)))
    taken = machines.reserve(name, resources)
    known = {**tags.of_taken(taken), tags.MADE: machines.now(), **more}
    return Order(name, known, image, int(resources.cpus), resources.memory, disk, taken.gpus)


class Pool:
    """The machines of one hub that wait; idle until it is told which pairs there are."""

    def __init__(self, machines: Machines):
        self._machines = machines
        self.pairs: dict[Key, WarmPair] = {}
        #: Names of those that are up, those being made, and those that are somebody's or being removed.
        self.ready: set[str] = set()
        self.working: set[str] = set()
        self.past: set[str] = set()
        self._told = False
        #: Since when this process waits for one to come up: what an earlier one made may be up for hours.
        self._awaited: dict[str, float] = {}
        self._images: dict[str, Image] = {}
        self._images_as_of = -IMAGES
        self._paused: dict[Key, float] = {}
        self._taken_at = -REST
        #: How many starts are under way.
        self.starts = 0
        self._task = None

    def tell(self, pairs: Iterable[WarmPair]) -> None:
        """For which pairs how many machines should wait."""
        self.pairs = {pair.key: pair for pair in pairs if pair.size > 0}
        self._told = True
        self._machines.watch.look_soon()

    def knows(self, machine: Machine) -> bool:
        """Whether a machine is the pool's to keep or to remove."""
        return machine.name in self.working or machine.name in self.past or tags.waits(machine.tags)

    # A start -------------------------------------------------------------------------------------------
    def take(self, key: Key, image: Image) -> str | None:
        """One that is up and was made as a new one would be, the oldest first; it is out of the pool then."""
        pair = self.pairs.get(key)
        if pair is None:
            return None
        mark = self._mark(pair, image)
        found = [one for one in self._waiting() if one.name in self.ready and one.tags[tags.MARK] == mark]
        found = [one for one in found if pair_of(one) == key and one.stands is Stands.RUNNING]
        found = [one for one in found if self._may_go(one)]
        self._taken_at = time.monotonic()
        if not found:
            return None
        name = min(found, key=_made).name
        self.ready.discard(name)
        self.past.add(name)
        return name

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Make none while the block runs, nor right after it: a start."""
        self.starts += 1
        try:
            yield
        finally:
            self.starts -= 1
            self._taken_at = time.monotonic()

    def give_way(self) -> str | None:
        """The name of one whose room a session needs more: the newest, out of the pool from now on."""
        found = [one for one in self._waiting() if one.name not in self.working]
        if not found:
            return None
        name = max(found, key=_made).name
        self.ready.discard(name)
        self.past.add(name)
        return name

    # A look --------------------------------------------------------------------------------------------
    def turned(self) -> None:
        """The watch has looked: begin what there is to do."""
        seen = self._machines.watch.seen
        self.past &= seen.keys()
        self.ready &= seen.keys()
        self._awaited = {name: since for name, since in self._awaited.items() if name in seen}
        if self._told and (self._task is None or self._task.done()) and (self.pairs or self._waiting()):
            self._task = self._machines.keep(self._tend())

    def _waiting(self) -> list[Machine]:
        return [
            one
            for one in self._machines.watch.seen.values()
            if tags.waits(one.tags) and one.name not in self.past and one.name not in self._machines.claims
        ]

    def _may_go(self, machine: Machine) -> bool:
        """Whether the machine's host takes sessions."""
        placement, name = self._machines.placement, machine.tags.get(tags.HOST)
        return any(host.name == name and placement.takes_new(host) for host in placement.nodes)

    async def _tend(self) -> None:
        await self._look_at_images()
        there: Counter[Key] = Counter()
        for machine in sorted(self._waiting(), key=_made, reverse=True):
            why = self._why_not(machine, there)
            if not why and machine.name not in self.ready and machine.name not in self.working:
                why = await self._ask(machine)
            if machine.name in self.past:
                continue  # taken, or given for room, meanwhile
            if why:
                self._retire(machine, why)
                continue
            there[pair_of(machine)] += 1
        for key, pair in self.pairs.items():
            rests = self.starts or time.monotonic() - self._taken_at < REST
            rests = rests or time.monotonic() < self._paused.get(key, 0)
            if there[key] < pair.size and pair.image in self._images and not rests:
                await self._make(pair)

    def _why_not(self, machine: Machine, there: Counter[Key]) -> str:
        """Why one should wait no longer; "" where it should."""
        key = pair_of(machine)
        pair, image = (
            self.pairs.get(key),
            self._images.get(self.pairs[key].image) if key in self.pairs else None,
        )
        if machine.stands not in (Stands.RUNNING, Stands.MAKING):
            return f"it is {machine.stands}"
        if pair is None:
            return "nothing of its kind should wait"
        if not self._may_go(machine):
            return "its host takes no sessions"
        if image is not None and machine.tags[tags.MARK] != self._mark(pair, image):
            return "it is not what a new one would be"
        if there[key] >= pair.size:
            return "more wait than should"
        if time.time() - _made(machine) > self._machines.pool_hours * 3600:
            return "it has waited long enough"
        return ""

    async def _ask(self, machine: Machine) -> str:
        """Ask whether one is up, and give why it should wait no longer; "" where it should."""
        log, since = self._machines.log, self._awaited.setdefault(machine.name, time.monotonic())
        try:
            if await self._machines.make.waits(machine.name):
                if machine.name not in self.past:
                    self.ready.add(machine.name)
                    log.info("Machine %s waits for a session", machine.name)
                return ""
        except Silent as error:
            log.warning("Whether machine %s is up is not known: %s", machine.name, error)
            self._awaited[machine.name] = time.monotonic()  # nothing is known, so no time has passed
        except Refused as error:
            log.warning("Whether machine %s is up is not known: %s", machine.name, error)
        if time.monotonic() - since <= self._machines.boot_timeout or machine.name not in self._awaited:
            return ""
        self._paused[pair_of(machine)] = time.monotonic() + PAUSE
        return "it did not come up in time"

    def _retire(self, machine: Machine, why: str) -> None:
        self._machines.log.info("Machine %s need not wait any more: %s", machine.name, why)
        self.ready.discard(machine.name)
        self.past.add(machine.name)
        self._machines.dispose_soon(machine.name)

    async def _make(self, pair: WarmPair) -> None:
        machines = self._machines
        name = machines.name(secrets.token_hex(8))
        self.working.add(name)
        try:
            image = self._images[pair.image]
            mark = tags.of_pair(pair, self._mark(pair, image))
            await machines.make.create(order_for(machines, name, image, pair.resources, pair.disk, mark))
            machines.log.info("Machine %s is made, to wait", name)
        except FAULTS as error:
            self._paused[pair.key] = time.monotonic() + PAUSE
            level = machines.log.info if isinstance(error, NoRoom) else machines.log.warning
            level("A machine of %s could not be made to wait: %s", "/".join(pair.key), error)
            machines.dispose_soon(name)
        finally:
            self.working.discard(name)
            machines.watch.look_soon()

    async def _look_at_images(self) -> None:
        if time.monotonic() - self._images_as_of < IMAGES:
            return
        self._images_as_of = time.monotonic()
        for recipe in {pair.image for pair in self.pairs.values()}:
            image = await self._machines.make.image(recipe, "")
            if image is not None:
                self._images[recipe] = image

    @staticmethod
    def _mark(pair: WarmPair, image: Image) -> str:
        """Equal for machines that are the same: what they were made from, and by which version of ours."""
        said = [image.digest, repr(pair.resources), pair.disk, *pair.key]
        return fingerprint({"machine": hashlib.sha256(json.dumps(said).encode()).hexdigest()})


def pair_of(machine: Machine) -> Key:
    """Profile and plan of a machine."""
    return machine.tags.get(tags.PROFILE, ""), machine.tags.get(tags.PLAN, "")


def _made(machine: Machine) -> float:
    try:
        return float(machine.tags.get(tags.MADE, "0"))
    except ValueError:
        return 0.0
