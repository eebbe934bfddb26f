"""A start takes a container that waits, and makes it its session's for good; else it is made as ever.

In this order, so that a hub killed at any instant leaves nobody with two and no container to two: the
session's own name for it is committed, the container is renamed to that, then it is handed over. What still
has a waiting one's name is therefore nobody's; what has a session's is that session's alone, or is removed.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from typing import Any

from visa_session.contract import PASSPORT

from ...session import Image, Person, SessionPlan, WarmPair
from .. import gpus, images, words
from ..engine import EngineRefused, EngineSilent
from ..files import archive
from ..hands.client import HandsRefused, HandsSilent
from ..nodes import Node
from ..on_nodes import OnNodes
from ..placement import NoRoom
from ..spec import check_person, container_name, hostname_for, image_name, listens_on
from . import meters
from .container import Waiting, uids_of
from .spec import SESSION_COMMAND, pair_of

#: What one that waits may fail with; the start goes on without it.
FAULTS = (EngineRefused, EngineSilent, HandsRefused, HandsSilent)


def document(person: Person, environment: dict[str, str], files: bytes, hostname: str) -> dict[str, Any]:
    """What makes a waiting container that person's; raises StartRefused for who must never have one."""
    check_person(person)
    return {
        "uid": person.uid,
        "gid": person.gid,
        "gids": list(person.gids),
        "environment": environment,
        "files": base64.b64encode(files).decode(),
        "hostname": hostname,
    }


def fits(pair: WarmPair | None, plan: SessionPlan) -> bool:
    """Whether a session of this plan may run in what waits for the pair, once its own is added."""
    return (
        pair is not None
        and plan.command == SESSION_COMMAND
        and (plan.image, plan.resources) == (pair.image, pair.resources)
        and set(pair.binds) <= set(plan.binds)
    )


class Taking(OnNodes):
    """Mixed into the container backend."""

    def _reset_taking(self) -> None:
        #: Whether its container waited, and is not known to have been handed over.
        self._half = False

    async def _take_waiting(self, plan: SessionPlan, among: set[str] | None) -> bool:
        """Whether the session runs in a container that waited.

        Raises EngineSilent, EngineRefused when one that may have been handed over could not be removed.
        """
        warm = self.fleet.warm
        pair = warm.pool.pairs.get(pair_of(plan.labels))
        if pair is None:
            return False
        warm.pool.asked(pair.key)
        how = "none"
        if fits(pair, plan):
            for node in self.fleet.placement.nodes:
                if among is not None and node.name not in among:
                    continue
                one, image = await self._one_on(node, pair, plan)
                if one is not None:
                    how = "waiting" if await self._hand_over(one, image, node, pair, plan) else "failed"
                    break
        meters.STARTS.labels(*pair.key, how).inc()
        return how == "waiting"

    async def _one_on(
        self, node: Node, pair: WarmPair, plan: SessionPlan
    ) -> tuple[Waiting | None, Image | None]:
        """One that waits there, made of the image that this start is to have, with room for its session."""
        fleet, pool = self.fleet, self.fleet.warm.pool
        some = any(one.key == pair.key for one in pool.here(node.name))
        if not some or not fleet.placement.takes_new(node):
            return None, None
        try:
            name = image_name(self.image_template, plan.image)
            image = await images.wanted(fleet.engine(node.name), plan, name)
        except (EngineRefused, EngineSilent):
            return None, None
        mark = fleet.warm.mark(node, pair, image.digest)
        # From here to the reservation nothing is awaited: two starts do not find the same one.
        one = pool.take(node.name, pair.key, mark)
        if one is None:
            fleet.warm.look_again(node.name)
            return None, None
        container = container_name(fleet.hub_id, plan.key, secrets.token_hex(4))
        try:
            taken = fleet.reserve(container, plan.key, plan.resources, self, {node.name})
        except NoRoom:
            pool.give_back(one)
            return None, None
        fleet.warm.took(node.name)
        self.object_name, self.node_name, self.session_key = container, taken.node, plan.key
        self._memory, self._half = plan.resources.memory, True
        return one, image

    async def _hand_over(
        self, one: Waiting, image: Image, node: Node, pair: WarmPair, plan: SessionPlan
    ) -> bool:
        """Make it the session's; False where that failed, and it is gone."""
        fleet = self.fleet
        try:
            self.remember()
            self._say(f"Taking a container that waits on {node.name}")
            await self._rename(one)
            image = await images.with_packages(image, fleet, fleet.engine(node.name), self.object_name)
            files = archive(plan.person, plan.short_ways, plan.accounts, {PASSPORT: self.stamp(image)})
            self._say("Starting")
            ip, port = listens_on(node)
            environment = plan.placed(ip=ip, port=port).environment | dict(gpus.share(node, ()).environment)
            hostname = hostname_for(plan.key).strip("-") or "session"
            binds = [bind for bind in plan.binds if bind not in pair.binds]
            given = document(plan.person, environment, files, hostname)
            await fleet.warm.hands.hand_over(one.pid, binds, hostname, given, container=one.id)
        except FAULTS as error:
            self.log.warning(
                "%s: %s on node %s could not be handed over, the session is made anew: %s",
                plan.key, one.name, node.name, error,
            )  # fmt: skip
            await self._not_taken()
            return False
        finally:
            fleet.warm.took(node.name)
            one.let_go()
        self._half = False
        self._host, self._published = one.host, one.published
        self._known_since = time.monotonic()
        fleet.watches[node.name].look_soon()
        self.remember()
        return True

    async def _rename(self, one: Waiting) -> None:
        self._making = self.docker("rename", one.name, self.object_name)
        # Also when nobody waits for it any more: under its old name it is nobody's, and is found again.
        self._making.add_done_callback(
            lambda done: done.exception() and self.fleet.warm.pool.not_taken(one.name)
        )
        await asyncio.shield(self._making)
        self.object_id = one.id

    async def _not_taken(self) -> None:
        """Remove what may be somebody's by half, for good, before the session is made anew."""
        await self.fleet.dispose(self.node_name, self.object_name, after=self._making)
        self.object_name = self.object_id = self.node_name = ""
        self._half = False
        self.remember()

    async def _settle_half(self) -> None:
        """After a restart in the midst of it: the container is the session's, or it is removed."""
        try:
            found = await self.docker("inspect_container", self.object_name)
        except (EngineRefused, EngineSilent) as error:
            if getattr(error, "status", None) != 404:
                self._settling = None
                return
            found = None
        if found is not None and found["State"]["Running"]:
            uids = uids_of(int(found["State"]["Pid"]), found["Id"])
            if uids and 0 not in uids:
                self._half, self._settling = False, None
                self.remember()
                return
        self._final, self._code = words.NEVER_STARTED, 1
        self._undo()
        if self._undoing is not None:
            await asyncio.shield(self._undoing)
