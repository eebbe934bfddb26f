"""Machines of an OpenStack project: servers of nova's, which redeem a one-time claim to become somebody's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....session import Bind, Image, Person
from ..hosts import Gpu
from ..provider import Host, NotTaken, Order, Provider, Refused, Silent, Stands
from ..tags import SESSION
from . import choices, data, servers
from .claims import ORDER, Claims, Kept, NotNow, digest
from .connection import Api, Cloud, Project
from .listener import Listener
from .lists import CLAIM, Lists
from .settings import OpenStackSettings
from .states import GONE, fault
from .suspending import Suspends

#: Threads, each kind with a connection of its own: what is asked for one session never holds up the list.
LISTING, CALLS = 1, 6
#: Seconds between two looks at a server that is being made or removed, and from the beginning of any list to
#: one for a claim that none has: whoever reaches the port may show such.
LOOK, _RELIST = 0.5, 5.0
#: Lines of a console that are looked at.
_LINES = 500


class OpenStackProvider(Suspends, Lists, OpenStackSettings, Provider):
    """Servers that carry this hub's metadata."""

    def __init__(self, hub_id: str, **kwargs):
        super().__init__(**kwargs)
        self.check()
        self.hub_id = hub_id
        project = Project(self.project)
        self._listing, self._calls = (
            Cloud(self.clouds_file, self.cloud, project, self.call_timeout, threads)
            for threads in (LISTING, CALLS)
        )
        self._files = data.Files("the data's directories", self.call_timeout)
        self._lanes = (self._listing, self._calls, self._files)
        #: Of this hub's servers by name, as nova described them last; `_as_of` is when, on the own clock.
        self._servers: dict[str, dict[str, Any]] = {}
        self._as_of = float("-inf")
        #: When the last list began, and how many have not ended.
        self._began, self._under_way = float("-inf"), 0
        self._claims = Claims(self, self._refused)
        self._listener: Listener | None = None
        self._why_deaf = "the port of claims is not open yet"
        self._marking: dict[str, asyncio.Lock] = {}
        self._closed = False

    @property
    def hosts(self) -> Sequence[Host]:
        """The project as one."""
        gpus = {f"{kind}-{n}": Gpu(kind) for kind, count in self.gpus.items() for n in range(count)}
        return (Host("openstack", self.cpus, self.memory, gpus),)

    # One machine ---------------------------------------------------------------------------------
    async def image(self, recipe: str, digest: str) -> Image | None:
        """The newest of the project's images that say they are of this recipe."""
        found = await self._calls.call(
            lambda api: choices.newest_image(api, self.image_owner, recipe, digest)
        )
        return found and found[1]

    async def create(self, order: Order) -> None:
        """Ask for a server with its metadata, and follow it until it runs or has failed."""
        if self._listener is None:
            words = "Machines cannot be handed over at the moment. Tell the facility's staff."
            raise Refused(words, self._why_deaf)
        claim = secrets.token_urlsafe(32)
        kept = Kept(digest(claim), int(time.time() + self.claim_minutes * 60))
        known = servers.metadata(order.tags, self.hub_id) | {CLAIM: kept.text()}
        user_data = servers.user_data(self.claim_address, self._listener.fingerprint, claim)

        def make(api: Api) -> dict[str, Any]:
            found = choices.newest_image(api, self.image_owner, order.image.recipe, order.image.digest)
            if found is None:
                raise Refused("The software of this profile has not been prepared here yet.", reason="image")
            asked = servers.body(
                order,
                known,
                flavor=choices.flavor(api, order, self.flavors),
                image=found[0],
                network=choices.network(api, self.network),
                groups=self.security_groups,
                zone=self.availability_zone,
                user_data=user_data,
            )
            return api.ask("compute", "POST", "/servers", json=asked)["server"]

        made = await self._calls.call(make)
        known_now = {"id": made["id"], "name": order.name, "metadata": dict(known), "made": time.monotonic()}
        self._servers.setdefault(order.name, known_now)
        await self._follow(order.name, made["id"])

    async def _follow(self, name: str, server: str) -> None:
        """Return when a server runs; raises Refused when nova could not make it."""
        end = time.monotonic() + self.create_timeout
        while time.monotonic() < end:
            try:
                found = await self._get(server)
            except Silent:  # which says nothing of the server
                found = {"status": "BUILD"}
            how, why = servers.stands(found)
            if how is Stands.RUNNING and not why:
                return
            if how is Stands.ENDED or found["status"] in GONE:
                words, reason = "The facility's cloud could not make the machine.", "provider"
                if why == "no room":
                    words, reason = "The facility's cloud has no room for this machine now.", "room"
                again = "Try again later; if it happens twice, tell the facility's staff."
                raise Refused(f"{words} {again}", f"{name}: {fault(found) or found['status']}", reason)
            await asyncio.sleep(LOOK)

    async def _get(self, server: str) -> dict[str, Any]:
        return (await self._calls.call(lambda api: api.ask("compute", "GET", f"/servers/{server}")))["server"]

    async def _id(self, name: str) -> str:
        """The id of this hub's server of that name; raises Refused (`gone`) where there is none."""
        if name not in self._servers:
            await self.list()
        if name not in self._servers:
            raise Refused("The machine is gone.", f"this hub has no server {name}", "gone")
        return self._servers[name]["id"]

    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """In the server's metadata, all in one call."""
        await self._write(name, servers.metadata(tags, self.hub_id))

    async def _write(self, name: str, values: Mapping[str, str]) -> None:
        server = await self._id(name)
        asked = {"metadata": dict(values)}
        await self._calls.call(
            lambda api: api.ask("compute", "POST", f"/servers/{server}/metadata", json=asked)
        )
        if name in self._servers:
            self._servers[name]["metadata"] = {**self._servers[name]["metadata"], **values}

    async def waits(self, name: str) -> bool:
        """Whether it has shown its claim, and is there."""
        return self._claims.waits(name)

    async def hand_over(
        self, name: str, person: Person, binds: Sequence[Bind], document: Mapping[str, Any]
    ) -> None:
        """Export the directories to where its claim came from, and give it the document for that."""
        # Looks at directories of the facility's, which may hang.
        directories = await self._files.call(lambda _: data.served(binds, person, self.nfs))

        async def export(address: str) -> None:
            await data.export(self.exports_command, name, address, directories, person)

        mounts = data.mounts(directories, person)
        given = json.dumps({"network": None, "mounts": mounts, "session": dict(document)}).encode()
        answer = await self._claims.give(name, given, self.hand_over_timeout, export)
        if answer.get("taken") is not True:
            raise NotTaken(f"{name} did not take it: {ascii(answer.get('refused'))[:500]}")

    async def shut_down(self, name: str) -> None:
        """By nova, which asks the guest first."""
        # One that stands so already, or cannot for the moment: the list says how.
        await self._act(await self._id(name), {"os-stop": None})

    async def _act(self, server: str, action: Mapping[str, Any]) -> None:
        """Ask for an action on a server; one that its state does not allow is none."""
        try:
            await self._calls.call(
                lambda api: api.ask("compute", "POST", f"/servers/{server}/action", json=action)
            )
        except Refused as error:
            if error.reason != "state":
                raise

    async def delete(self, name: str) -> None:
        """Its directories first, then the server; returns when nova has it no more."""
        if self.nfs:
            await data.take_back(self.exports_command, data.servers(self.nfs), name)
        try:
            server = await self._id(name)
        except Refused as error:
            if error.reason != "gone":
                raise
            return  # one that was asked for without an answer, and comes later, is the sweep's
        end = time.monotonic() + self.delete_timeout
        with contextlib.suppress(_Gone):
            await self._remove(server, {})
            while True:
                found = await self._remaining(server)
                if found["status"] == "SOFT_DELETED":
                    await self._remove(server, {"forceDelete": None})
                elif found["status"] == "ERROR" and found.get("OS-EXT-STS:task_state") is None:
                    raise Refused("The machine could not be removed.", f"{name}: {fault(found)}")
                if time.monotonic() > end:
                    raise Silent(f"{name} is being removed for {self.delete_timeout:g} s")
                await asyncio.sleep(LOOK)
        self._servers.pop(name, None)

    async def _remove(self, server: str, action: dict[str, Any]) -> None:
        def ask(api: Api) -> None:
            if action:
                api.ask("compute", "POST", f"/servers/{server}/action", json=action)
            else:
                api.ask("compute", "DELETE", f"/servers/{server}")

        await self._unless_gone(self._calls.call(ask))

    async def _remaining(self, server: str) -> dict[str, Any]:
        return await self._unless_gone(self._get(server))

    @staticmethod
    async def _unless_gone(asked: Any) -> Any:
        try:
            return await asked
        except Refused as error:
            if error.reason == "gone":
                raise _Gone from error
            if error.reason == "state":  # it is being removed already
                return None
            raise

    async def console(self, name: str) -> bytes:
        """The end of it by nova, and what nova says went wrong."""
        try:
            server = await self._id(name)
            found = await self._get(server)
        except Refused:
            return b""
        said = f"\nOpenStack: {fault(found)}\n" if fault(found) else ""
        asked = {"os-getConsoleOutput": {"length": _LINES}}
        try:
            answer = await self._calls.call(
                lambda api: api.ask("compute", "POST", f"/servers/{server}/action", json=asked)
            )
        except Refused:  # one that is not there yet, or any more
            answer = {"output": ""}
        return (str(answer.get("output") or "") + said).encode()

    async def sweep(self, names: set[str]) -> None:
        """Export nothing to machines that are no more."""
        if self.nfs:
            await data.keep(self.exports_command, data.servers(self.nfs), self.hub_id, names)

    # Claims --------------------------------------------------------------------------------------
    def _listen(self) -> None:
        """Open the port of claims, as long as it is not; what is wrong is said once."""
        if self._listener is not None or self._closed:
            return
        try:
            self._listener = Listener(
                self._claims,
                host=self.claim_bind,
                port=self.claim_host[1],
                certificate=self.claim_certificate,
                key=self.claim_key,
            )
        except OSError as error:
            if str(error) != self._why_deaf:
                self._why_deaf = str(error)
                self.log.error("Machines cannot redeem their claims at %s: %s", self.claim_address, error)

    async def find(self, digest: str) -> str | None:
        """The name of the machine with this claim."""
        name = self._named(digest)
        if name is not None:
            return name
        if not self._under_way and time.monotonic() - self._began > _RELIST:
            with contextlib.suppress(Silent, Refused):
                await self.list()
        # The last list that began must have ended well, or nobody can tell.
        if self._as_of < self._began:
            raise NotNow
        return self._named(digest)

    def _named(self, digest: str) -> str | None:
        for name in self._servers:
            kept = self.kept(name)
            if kept is not None and secrets.compare_digest(kept.digest, digest):
                return name
        return None

    def kept(self, name: str) -> Kept | None:
        """The claim of a machine, as far as is known."""
        return Kept.read(self._servers.get(name, {}).get("metadata", {}).get(CLAIM, ""))

    async def addresses(self, name: str) -> frozenset[str]:
        """By neutron's word."""
        server = await self._id(name)
        return await self._calls.call(lambda api: choices.addresses(api, server))

    async def mark(self, name: str, state: str) -> None:
        """In the server's metadata; it never goes back."""
        async with self._marking.setdefault(name, asyncio.Lock()):
            kept = self.kept(name)
            if kept is None:
                raise Refused("The machine is gone.", f"{name} has no claim", "gone")
            if ORDER.index(kept.state) < ORDER.index(state):
                await self._write(name, {CLAIM: replace(kept, state=state).text()})

    def _refused(self, name: str, address: str, why: str) -> None:
        owner, _, session = self._tags(self._servers.get(name, {})).get(SESSION, "").partition("/")
        self.log.warning("A claim from %s was refused: %s (%s)", address, why, name or "no machine")
        self.tell("claim-refused", owner=owner, session=session, address=address, machine=name, why=why)

    def close(self) -> None:
        """Let go of threads, connections and whoever asks."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._claims.close()
        for lane in self._lanes:
            lane.close()


class _Gone(Exception):
    """Nova has no such server any more."""
