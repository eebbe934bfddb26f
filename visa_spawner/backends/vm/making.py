"""A start: a machine that waits is taken, or one is made and booted; then it is handed over, once."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from visa_session.contract import PASSPORT, SESSION_PORT

from ...session import Image, Resources, SessionPlan, StartRefused, State, Status
from ...words import IMAGE_GONE, NOT_PREPARED
from ..files import archive
from ..placement import NoRoom, Taken
from ..refusals import refusal_for as room_refused
from ..spec import hostname_for
from ..warm.handover import document
from . import tags, words
from .on_machines import OnMachines
from .pool import order_for
from .provider import NotTaken, Refused, Silent, Stands

#: Seconds between two questions whether a machine is up.
LOOK = 0.5
#: Seconds of a boot after which its person is told that it goes on.
LONG = 20.0


class Making(OnMachines):
    """Mixed into `VMSpawner`."""

    def _reset_start(self) -> None:
        self._steps: list[Status] = []
        self._stepped = asyncio.Event()
        self._starting = False
        self._making: asyncio.Future | None = None
        self._undoing: asyncio.Task | None = None
        #: Whether its machine is not known to have been handed over.
        self._half = False

    async def start(self) -> None:
        """Have a machine, up and handed over; returns when the session's process runs.

        Raises StartRefused, after removing what it had made.
        """
        if self.session is None:
            raise RuntimeError("start without a session's plan")
        self._reset()
        self._starting = True
        try:
            with self.machines.pool.resting():
                await self._start(self.session)
        except BaseException as error:
            refused = room_refused(error, "") if isinstance(error, NoRoom) else words.refusal_for(error)
            if self._final is None:
                self._final = Status(State.FAILED, refused.words if refused else "The start was given up.")
                self._code = 1
            if not isinstance(error, asyncio.CancelledError | StartRefused | NoRoom):
                self.log.error("Starting %s: %s", self.session_key, error)
            await self._keep_log()
            self._undo()
            if refused is None:
                raise
            if self._undoing is not None:
                await asyncio.shield(self._undoing)
            raise refused from error
        finally:
            self._starting = False
            self._stepped.set()

    async def _start(self, plan: SessionPlan) -> None:
        self._say("Looking for room")
        await self.machines.watch.asked_once()
        self.session_key, self._memory = plan.key, plan.resources.memory
        image = await self._image(plan)
        if not await self._take(plan, image):
            await self._make(plan, image)
        self._known_since = time.monotonic()
        self.machines.watch.look_soon()

    async def _image(self, plan: SessionPlan) -> Image:
        image = await self.machines.make.image(plan.image, plan.digest)
        if image is None and plan.digest:
            raise StartRefused(IMAGE_GONE, field="image", status=409, reason="gone")
        if image is None:
            raise StartRefused(NOT_PREPARED, field="profile", status=503, reason="image")
        return replace(image, recipe=plan.image)

    async def _take(self, plan: SessionPlan, image: Image) -> bool:
        """Whether the session runs in a machine that waited."""
        machines = self.machines
        key = plan.labels.get("visa.profile", ""), plan.labels.get("visa.plan", "")
        name = machines.pool.take(key, image)
        if name is None:
            return False
        self._owns(name, plan)
        try:
            self._say("Taking a machine that waits")
            found = machines.watch.seen[name]
            # From here on it is nobody else's, also for a hub that starts anew.
            await machines.make.tag(name, {**found.tags, tags.SESSION: plan.key, tags.MARK: ""})
            await self._hand_over(plan, image)
        except (NotTaken, Silent, Refused) as error:
            self.log.warning("%s: %s could not be handed over, another is made: %s", plan.key, name, error)
            await machines.dispose(name)
            self.machine_name = ""
            self.remember()
            return False
        return True

    async def _make(self, plan: SessionPlan, image: Image) -> None:
        more = {tags.SESSION: plan.key, tags.MARK: ""}
        more |= {
            tags.PROFILE: plan.labels.get("visa.profile", ""),
            tags.PLAN: plan.labels.get("visa.plan", ""),
        }
        gone: list[Taken] = []
        while (refused := await self._create(plan, image, more)) is not None:
            # The provider's own books are fuller than ours: what waits may be what fills them.
            if not await self._gives_way(plan.resources, gone):
                raise refused
            await self.machines.dispose(self.machine_name)
        self._say("Booting the machine")
        await self._until_up(self.machine_name)
        try:
            await self._hand_over(plan, image)
        except NotTaken as error:
            self.log.error("%s: %s", plan.key, error)
            raise StartRefused(words.NOT_TAKEN, status=500, reason="handover") from error

    async def _create(self, plan: SessionPlan, image: Image, more: dict[str, str]) -> Refused | None:
        """Have a machine made; gives the refusal of a provider that says there is no room."""
        machines, name = self.machines, self.machines.name(secrets.token_hex(8))
        order = await self._with_room(
            plan.resources, lambda: order_for(machines, name, image, plan.resources, plan.disk, more)
        )
        # Known before the provider is asked: a hub killed from here on finds it, made or not.
        self._owns(name, plan)
        self._say("Making the machine")
        # Kept: when the start is cancelled the call runs on, and what it makes must still be removed.
        self._making = machines.keep(machines.make.create(order))
        try:
            await asyncio.shield(self._making)
        except Refused as error:
            if error.reason != "room":
                raise
            return error
        return None

    async def _gives_way(self, resources: Resources, gone: list[Taken]) -> bool:
        """Whether one more that waits has gone for a session; no more go than take together what it takes."""
        cpus, memory = sum(one.cpus for one in gone), sum(one.memory for one in gone)
        gpus = sum(len(one.gpus) for one in gone)
        if gone and cpus >= resources.cpus and memory >= resources.memory and gpus >= resources.gpus:
            return False
        name = self.machines.pool.give_way()
        if name is None:
            return False
        self.log.info("Machine %s goes for %s: its provider has no room", name, self.session_key)
        taken = self.machines.placement.taken.get(name, Taken("", 0, 0))
        try:
            await self.machines.dispose(name)
        except (Silent, Refused):
            return False  # its room is not free, nor would another's be
        gone.append(taken)
        return True

    async def _with_room(self, resources: Resources, take):
        """What `take` gives; machines that wait go for it, if their room would do. Raises NoRoom."""
        while True:
            try:
                return take()
            except NoRoom as error:
                refused = error
            would_do = self.machines.availability(resources).sessions
            name = self.machines.pool.give_way() if would_do else None
            if name is None:
                raise refused
            try:
                await self.machines.dispose(name)
            except (Silent, Refused):
                raise refused from None  # its room is not free, nor would another's be

    def _owns(self, name: str, plan: SessionPlan) -> None:
        self.machine_name, self._half = name, True
        self.machines.claim(name, plan.key, self)
        self.remember()

    async def _until_up(self, name: str) -> None:
        """Return when a session waits in it; raises StartRefused when it ends, or takes too long."""
        machines = self.machines
        end = time.monotonic() + machines.boot_timeout
        begun, told = time.monotonic(), False
        with machines.watch.hurried():
            while True:
                silent = None
                if not told and time.monotonic() - begun > LONG:
                    self._say("Still booting the machine, which can take some minutes")
                    told = True
                try:
                    if await machines.make.waits(name):
                        return
                except Silent as error:  # which says nothing of the machine: it boots on
                    silent = error
                found = machines.watch.seen.get(name)
                known = machines.watch.as_of > begun
                if known and (found is None or found.stands is Stands.ENDED):
                    raise StartRefused(await self._why_ended(found), status=500, reason="died")
                if time.monotonic() > end:
                    raise silent or StartRefused(words.NO_BOOT, status=504, reason="boot")
                await asyncio.sleep(LOOK)

    async def _why_ended(self, found) -> str:
        if found is None:
            return words.REMOVED.words
        console = await self.machines.make.console(found.name)
        status, self._code = words.how_it_ended(found, console, memory=self._memory, started=False)
        return status.words

    async def _hand_over(self, plan: SessionPlan, image: Image) -> None:
        """Give the machine to the session's person; raises NotTaken, Silent, Refused."""
        self._say("Handing the machine over")
        gpus = tuple(self.gpu_device.format(index=index) for index in range(plan.resources.gpus))
        environment = plan.placed(ip="0.0.0.0", port=SESSION_PORT, gpus=gpus).environment
        files = archive(plan.person, plan.short_ways, plan.accounts, {PASSPORT: self.stamp(image)})
        hostname = hostname_for(plan.key).strip("-") or "session"
        given = document(plan.person, environment, files, hostname)
        await self.machines.make.hand_over(self.machine_name, plan.person, plan.binds, given)
        self._half = False
        self.remember()

    def _undo(self) -> None:
        if self.machine_name and self.machine_name not in self.machines.leftovers:
            self._undoing = self.machines.dispose_soon(self.machine_name, self._making)
        self.machine_name = ""

    def _say(self, text: str) -> None:
        self._steps.append(Status(State.STARTING, text))
        self._stepped.set()

    async def events(self) -> AsyncIterator[Status]:
        """Each step of the start; ends when the session's process runs or the start has failed."""
        given = 0
        while True:
            self._stepped.clear()
            for step in self._steps[given:]:
                given += 1
                yield step
            if given == len(self._steps) and not self._starting:
                return
            if given == len(self._steps):
                await self._stepped.wait()
