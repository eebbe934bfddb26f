"""Machines of the libvirt on the hub's own host."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from visa_session import door

from ....session import Bind, Image, Person
from ... import results
from ..hosts import Gpu
from ..provider import (
    UNSERVED,
    Host,
    Machine,
    NotTaken,
    Order,
    Provider,
    Refused,
    Silent,
)
from ..tags import ADDRESS, HUB, SESSION
from . import files, line, reaching, share
from .agent import PROGRAM, Agent, memory_in_use
from .changing import ChangesData, mounts_of
from .connection import Connection
from .domain import NAMESPACE, Hardware, domain_xml, tags_from, tags_xml
from .settings import LibvirtSettings
from .suspending import Suspends, needs_data

_PREFIX = "visa"
#: Threads, each kind on a connection of its own, of which libvirt takes five calls at a time. Guests can hold
#: up what is asked of them, so nothing else waits behind that; and the list waits behind nothing.
LISTING, CALLS, AGENTS, ENDINGS, MOVES = 1, 4, 4, 4, 2
#: Seconds that a machine may take to be made: libvirt may look at QEMU anew first.
_MAKING = 120


class LibvirtProvider(ChangesData, Suspends, LibvirtSettings, Provider):
    """QEMU machines, one overlay on the image's disk each."""

    def __init__(self, hub_id: str, **kwargs):
        super().__init__(**kwargs)
        self.hub_id = hub_id
        self._listing, self._connection, self._agents, self._endings, self._moves = self._lanes = tuple(
            Connection(self.uri, self.call_timeout, threads)
            for threads in (LISTING, CALLS, AGENTS, ENDINGS, MOVES)
        )
        #: Tags by a domain's UUID, since they cost a question each; None: not ours. Changed in threads.
        self._tags: dict[str, dict[str, str] | None] = {}
        self._kind = ""
        #: Those whose memory is being written or read back. Changed in threads.
        self._at_memory: set[str] = set()
        self._making = asyncio.Lock()
        network = ipaddress.IPv4Network(self.network)
        self._gateway, *self._addresses = map(str, network.hosts())

    @property
    def hosts(self) -> Sequence[Host]:
        """This one."""
        gpus = {name: Gpu(kind) for name, kind in self.gpus.items()}
        return (Host("libvirt", self.cpus, self.memory, gpus),)

    # What there is -----------------------------------------------------------------------------------
    async def list(self) -> list[Machine]:
        """All domains with this hub's tag, by one question; a new one's tags are asked for once."""
        try:
            listed = await self._listing.call(self._list)
        except Silent:
            for lane in self._lanes:
                lane.drop()
            raise
        if not any(machine.tags.get(SESSION) for machine in listed):
            return listed
        served = await asyncio.to_thread(lambda: {name for _, name in share.serving(self.hub_id)})
        return [
            replace(one, why=UNSERVED)
            if needs_data(one) and one.tags.get(SESSION) and one.name not in served
            else one
            for one in listed
        ]

    def _list(self, connection: Any) -> list[Machine]:
        import libvirt

        # Without waiting for domains that are busy: how each stands is known all the same.
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        found, uuids = [], set()
        memories = files.memories(Path(self.folder))
        for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, flags):
            uuid = domain.UUIDString()
            uuids.add(uuid)
            tags = self._known_tags(domain, uuid)
            if tags is None or tags.get(HUB) != self.hub_id:
                continue
            how, why = self._stands(
                domain, stats.get("state.state", 0), stats.get("state.reason", 0), memories
            )
            found.append(Machine(domain.name(), how, tags, tags.get(ADDRESS, ""), why))
        for uuid in list(self._tags):
            if uuid not in uuids:
                self._tags.pop(uuid, None)  # read anew, should it be one that was made a moment ago
        return found

    def _known_tags(self, domain: Any, uuid: str) -> dict[str, str] | None:
        import libvirt

        if uuid not in self._tags:
            try:
                read = self._read_tags(domain)
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return None  # removed since the list began
                raise
            # What `tag` has written meanwhile is newer.
            self._tags.setdefault(uuid, read)
        return self._tags.get(uuid)

    @staticmethod
    def _read_tags(domain: Any) -> dict[str, str] | None:
        """None: it has none of ours. No answer is not that, or a session would be taken for gone."""
        import libvirt

        try:
            return tags_from(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
        except ValueError:
            return None
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_METADATA:
                raise
            return None

    async def image(self, recipe: str, digest: str) -> Image | None:
        """As the files beside the disks say."""
        return await asyncio.to_thread(results.image, self.image_template, recipe, digest)

    # One machine -------------------------------------------------------------------------------------
    async def create(self, order: Order) -> None:
        """Define the domain, make its disk, start it: in this order, so that nothing is without its tag."""
        base = await asyncio.to_thread(
            results.find, self.image_template, order.image.recipe, order.image.digest
        )
        # A link to the newest version, which may be another one a moment later.
        base = base and os.path.realpath(base)
        if base is None or not os.path.exists(base):
            raise Refused("The software of this profile has not been prepared here yet.", reason="image")
        async with self._making:
            address = await self._free_address()
            hardware = Hardware(
                name=order.name,
                kind=await self._kind_of_host(),
                cpus=order.cpus,
                memory=order.memory,
                image=Path(base),
                disk=files.disk(Path(self.folder), order.name),
                console=files.console_log(Path(self.folder), order.name),
                device=line.device_of(address),
                gpus=order.gpus,
            )
            xml = domain_xml(hardware, {**order.tags, HUB: self.hub_id, ADDRESS: address})
            await self._connection.call(lambda libvirt: libvirt.defineXML(xml), _MAKING)
        await asyncio.to_thread(self._make_disk, order.name, base, order.disk)
        await asyncio.to_thread(line.connect, self._gateway, address)
        await self._connection.call(lambda libvirt: libvirt.lookupByName(order.name).create(), _MAKING)

    async def _free_address(self) -> str:
        taken = {machine.address for machine in await self.list()}
        free = next((one for one in self._addresses if one not in taken), None)
        if free is None:
            raise Refused("No machine can be started now: all addresses are in use.", reason="room")
        return free

    async def _kind_of_host(self) -> str:
        if self.virtualization != "auto":
            return self.virtualization
        if not self._kind:
            known = await self._connection.call(lambda libvirt: libvirt.getCapabilities())
            self._kind = "kvm" if "<domain type='kvm'" in known else "qemu"
        return self._kind

    def _make_disk(self, name: str, base: str, size: int) -> None:
        disk = files.disk(Path(self.folder), name)
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, str(disk)]
        try:
            Path(self.folder).mkdir(mode=0o711, parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < self.free_disk:
                text = f"less than {self.free_disk} bytes are free in {self.folder} (free_disk)"
                raise Refused("No machine can be started now: its host's disk is full.", text, "room")
            have = json.loads(_said("qemu-img", "info", "--output=json", "-U", base))["virtual-size"]
            # A session's whole disk, not for accounts of the host: libvirt changes its owner, never its mode.
            os.close(os.open(disk, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _said(*words, str(max(size, have)))
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            text = getattr(error, "stderr", None) or str(error)
            words = "The disk of this profile's machines cannot be used. Tell the facility's staff."
            raise Refused(words, f"{base}: {text}", "image") from error

    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """In the domain that runs, and for when it is read anew."""

        def change(connection: Any) -> None:
            import libvirt

            domain, known = self._ours(connection, name)
            both = {**tags, HUB: self.hub_id, ADDRESS: known.get(ADDRESS, "")}
            where = libvirt.VIR_DOMAIN_AFFECT_CONFIG
            where |= libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
            kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
            domain.setMetadata(kind, tags_xml(both), _PREFIX, NAMESPACE, where)
            self._tags[domain.UUIDString()] = both

        await self._connection.call(change)

    def _ours(self, connection: Any, name: str) -> tuple[Any, dict[str, str]]:
        """The domain of that name and its tags, if ours is among them by libvirt's word of this moment."""
        domain = connection.lookupByName(name)
        tags = self._read_tags(domain)
        if tags is None or tags.get(HUB) != self.hub_id:
            raise Refused("The machine is not one of this hub's.", f"{name} carries no tag of ours", "gone")
        return domain, tags

    async def waits(self, name: str) -> bool:
        """Whether its agent answers, and the door of a session is there."""
        agent = Agent(self._agents, name)
        try:
            return (
                await agent.is_up()
                and (await agent.run("/usr/bin/test", "-S", door.PATH, seconds=20))[0] == 0
            )
        except (NotTaken, Refused):
            return False

    async def hand_over(
        self, name: str, person: Person, binds: Sequence[Bind], document: Mapping[str, Any]
    ) -> None:
        """Serve the directories, and give the document to a program in the guest, by its agent."""
        _, tags = await self._connection.call(lambda libvirt: self._ours(libvirt, name))
        address = tags.get(ADDRESS, "")
        device = line.device_of(address)
        # Again: somebody may have taken it away meanwhile.
        await asyncio.to_thread(line.connect, self._gateway, address)
        shared = await share.open_share(
            person, binds, hub_id=self.hub_id, machine=name, host=self._gateway, device=device
        )
        mounts = mounts_of(self._gateway, reaching.Served(shared.port, person.uid), binds)
        network = {"address": f"{address}/32", "gateway": self._gateway, "dns": self.dns}
        given = json.dumps({"network": network, "mounts": mounts, "session": dict(document)}).encode()
        agent = Agent(self._agents, name)
        try:
            code, said = await agent.run(PROGRAM, "--hand-over", given=given, seconds=self.hand_over_timeout)
        except Refused as error:
            raise NotTaken(f"{name}: {error}") from error
        if code != 0:
            raise NotTaken(f"{name} did not take it: {said.decode(errors='replace')[-500:]}")

    async def shut_down(self, name: str) -> None:
        """Through the agent, which ends the session in order first; a guest may do nothing of it."""
        import libvirt

        def ask(connection: Any) -> None:
            self._ours(connection, name)[0].shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)

        await self._endings.call(ask)

    async def delete(self, name: str) -> None:
        """Ended, its share, line, files, and last of all the domain, which carries the tag."""

        def end(connection: Any) -> None:
            import libvirt

            try:
                domain, tags = self._ours(connection, name)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                domain, tags = None, {}
            if domain is not None and domain.isActive():
                try:
                    domain.destroy()
                except libvirt.libvirtError as error:
                    if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                        raise  # what has ended meanwhile needs no end
            share.close_share(self.hub_id, name)
            if address := tags.get(ADDRESS):
                line.disconnect(address)
            try:
                files.remove(Path(self.folder), name)
            except OSError as error:
                raise Refused("The machine's files could not be removed.", str(error)) from error
            if domain is not None:
                flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                domain.undefineFlags(flags | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)

        await self._connection.call(end, 60)

    async def console(self, name: str) -> bytes:
        """From libvirt's log of it."""
        return await asyncio.to_thread(files.console, Path(self.folder), name)

    async def usage(self, name: str) -> tuple[float, int | None]:
        """Of its processors by libvirt's word; of its memory by the guest's own: all of it is QEMU's."""
        seconds = await self._connection.call(
            lambda libvirt: sum(one[2] for one in self._ours(libvirt, name)[0].vcpus()[0]) / 1e9
        )
        try:
            code, said = await Agent(self._agents, name).run("/bin/cat", "/proc/meminfo", seconds=4)
        except (NotTaken, Refused):
            return seconds, None
        return seconds, memory_in_use(said) if code == 0 else None

    async def sweep(self, names: set[str]) -> None:
        """End what serves data to machines that are no more; remove what is left of their lines and files."""
        await asyncio.to_thread(share.sweep, self.hub_id, names)
        # Looked at before the domains: each is there before its line and its first file.
        lines = await asyncio.to_thread(line.addresses)
        used = {machine.address for machine in await self.list()}
        for address in lines & set(self._addresses) - used:
            await asyncio.to_thread(line.disconnect, address)
        folder = Path(self.folder)
        for name in await asyncio.to_thread(files.names, folder) - await self._listing.call(_all_names):
            await asyncio.to_thread(files.remove, folder, name)

    def close(self) -> None:
        """Let go of the connections."""
        for lane in self._lanes:
            lane.close()


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _all_names(connection: Any) -> set[str]:
    return {domain.name() for domain in connection.listAllDomains()}
