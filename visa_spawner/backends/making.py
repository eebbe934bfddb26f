"""A start: a container that waits is taken, or one is made of the plan; what fails leaves nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

from visa_session.contract import PASSPORT, SESSION_PORT

from ..session import SessionPlan, StartRefused, State, Status
from . import gpus, images
from .engine import EngineRefused
from .files import archive
from .nodes import Node
from .placement import NoRoom, Taken
from .refusals import refusal_for
from .spec import check_sources, container_name, container_spec, image_name, listens_on, reached_at
from .warm.handover import Taking


class Making(Taking):
    """Mixed into the container backend."""

    def _reset_start(self) -> None:
        self._steps: list[Status] = []
        self._starting = False
        self._making: asyncio.Future | None = None
        self._undoing: asyncio.Task | None = None
        self._reset_taking()

    async def start(self) -> tuple[str, int]:
        """Make and start the container; returns once its process runs.

        Raises StartRefused, after removing what it had made.
        """
        if self.session is None:
            raise RuntimeError("start without a session's plan")
        self._reset()
        self._starting = True
        try:
            await self._start(self.session)
        except BaseException as error:
            refused = refusal_for(error, self.node_name)
            if self._final is None:
                self._final, self._code = (
                    Status(State.FAILED, refused.words if refused else "The start was given up."),
                    1,
                )
            self._undo()
            if refused is None:
                raise
            if not isinstance(error, StartRefused | NoRoom):
                self.log.error("Starting %s on node %s: %s", self.session_key, self.node_name, error)
            if self._undoing is not None:
                await asyncio.shield(self._undoing)
            raise refused from error
        finally:
            self._starting = False
            self._stepped.set()
        return self._host, self._published or SESSION_PORT

    async def _start(self, plan: SessionPlan) -> None:
        self._say("Looking for room")
        await self.fleet.ready()
        among = await images.choice_of_nodes(self.fleet, plan.digest)
        if not await self._take_waiting(plan, among):
            await self._make(plan, among)

    async def _make(self, plan: SessionPlan, among: set[str] | None) -> None:
        fleet = self.fleet
        name = container_name(fleet.hub_id, plan.key, secrets.token_hex(4))
        try:
            taken = fleet.reserve(name, plan.key, plan.resources, self, among)
        except NoRoom as error:
            if error.never:
                raise
            # The books are as old as the last look, and one look may have been missed.
            await fleet.look()
            taken = fleet.reserve(name, plan.key, plan.resources, self, among)
        # Known before the engine is asked: a hub killed from here on finds it, made or not.
        self.object_name, self.node_name, self.session_key = name, taken.node, plan.key
        self._memory = plan.resources.memory
        self.remember()
        node = fleet.by_name[taken.node]
        self._say(f"Creating the container on {node.name}")
        share = gpus.share(node, taken.gpus)
        engine = fleet.engine(node.name)
        image = await images.wanted(engine, plan, image_name(self.image_template, plan.image))
        body = self._body(plan, node, taken, share, image.digest)
        if node.is_local:
            await asyncio.to_thread(check_sources, body)
        made = await self._step("create_container_from_config", body, name)
        self.object_id = made["Id"]
        if taken.gpus:
            await self._check_gpus(share)
        stamped = self.stamp(await images.with_packages(image, fleet, engine, name))
        files = archive(plan.person, plan.short_ways, plan.accounts, {PASSPORT: stamped})
        try:
            await self._step("put_archive", name, "/", files)
        except EngineRefused as error:
            # Podman unpacks in a process of its own, which a busy machine was seen to break once.
            self.log.warning("Unpacking into %s is tried again: %s", name, error)
            await self._step("put_archive", name, "/", files)
        self._say("Starting")
        await self._step("start", name)
        found = await self.docker("inspect_container", name)
        self._host, self._published = reached_at(node, found)
        self._known_since = time.monotonic()
        fleet.watches[node.name].look_soon()
        if not found["State"]["Running"]:
            await self._settle(found)
            raise StartRefused(self._final.words, status=500, reason="died")
        self.remember()

    def _body(self, plan: SessionPlan, node: Node, taken: Taken, share: gpus.GpuShare, image: str) -> dict:
        ip, port = listens_on(node)
        return container_spec(
            plan.placed(ip=ip, port=port, gpus=share.paths),
            node=node,
            taken=taken,
            gpus=share,
            image=image,
            hub_id=self.fleet.hub_id,
            limits=self.limits,
        )

    async def _step(self, method: str, *args):
        # Kept: when the start is cancelled the call runs on, and what it makes must still be removed.
        self._making = self.docker(method, *args)
        return await asyncio.shield(self._making)

    async def _check_gpus(self, share: gpus.GpuShare) -> None:
        found = await self.docker("inspect_container", self.object_name)
        faults = gpus.not_given(share, found["HostConfig"])
        if faults:
            raise gpus.GpuNotGiven(f"{self.object_name}: {', '.join(faults)}")

    def _undo(self) -> None:
        if self.object_name and self.object_name not in self.fleet.leftovers:
            self._undoing = self.fleet.dispose_soon(self.node_name, self.object_name, self._making)
        self.object_name = self.object_id = ""

    def _say(self, text: str) -> None:
        self._steps.append(Status(State.STARTING, text))
        self._stepped.set()

    async def events(self) -> AsyncIterator[Status]:
        """Each step of the start; ends when the container's process runs or the start has failed."""
        given = 0
        while True:
            self._stepped.clear()
            for step in self._steps[given:]:
                given += 1
                yield step
            if given and not self._starting:
                return
            if given == len(self._steps):
                await self._stepped.wait()
