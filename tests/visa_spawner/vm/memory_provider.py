"""A provider whose machines are lines in a table: it stands in for libvirt where the books, the pool and the
order of things are looked at. Real machines are those of test_vm_guest.py and test_vm_libvirt.py.
"""

import asyncio
from dataclasses import replace

from visa_spawner.backends.vm.provider import (
    KEEPS_ROOM,
    Host,
    Machine,
    NotTaken,
    Provider,
    Refused,
    Silent,
    Stands,
)
from visa_spawner.session import Image

IMAGE = Image("base", f"sha256:{'1' * 64}")


class World:
    """What there is, for every hub process of a test: machines outlive them."""

    def __init__(self):
        self.machines = {}
        self.up, self.handed, self.deleted = set(), {}, []
        self.silent = self.refuses = self.keeps_room = False
        #: Machines that there may be, by the provider's own books.
        self.quota = 100
        self.boots = True
        self.fails = ""
        self.image = IMAGE
        self.listed = self.asked = 0
        self.used = iter(())
        #: Set to hold a step by name until it is taken away.
        self.holds = {}


world = World()


class MemoryProvider(Provider):
    def __init__(self, hub_id, **kwargs):
        super().__init__(**kwargs)
        self.hub_id = hub_id

    @property
    def hosts(self):
        return (Host("memory", 8, 8 << 30),)

    async def _step(self, name):
        if world.silent:
            raise Silent("silent")
        if name in world.holds:
            await world.holds[name].wait()
        await asyncio.sleep(0)

    def _known(self, name):
        if name not in world.machines:
            raise Refused("gone", reason="gone")
        return world.machines[name]

    async def list(self):
        world.listed += 1
        await self._step("list")
        return list(world.machines.values())

    async def image(self, recipe, digest):
        return world.image

    async def create(self, order):
        if world.refuses or len(world.machines) >= world.quota:
            raise Refused("No machine can be started now.", reason="room")
        assert order.name not in world.machines, "a name is made once"
        world.machines[order.name] = Machine(order.name, Stands.RUNNING, dict(order.tags), "10.0.0.9")
        await self._step("create")
        if world.boots:
            world.up.add(order.name)

    async def tag(self, name, tags):
        await self._step("tag")
        world.machines[name] = replace(self._known(name), tags=dict(tags))

    async def waits(self, name):
        world.asked += 1
        if world.fails == "waits":
            raise Silent("restarts")
        await self._step("waits")
        return name in world.up and name in world.machines

    async def hand_over(self, name, person, binds, document):
        await self._step("hand_over")
        self._known(name)
        assert name not in world.handed, "a machine is somebody's once"
        world.handed[name] = document
        world.up.discard(name)
        if world.fails == "hand_over":
            raise NotTaken("no")

    async def shut_down(self, name):
        await self._step("shut_down")
        world.machines[name] = replace(self._known(name), stands=Stands.ENDED, why="shut down")

    async def delete(self, name):
        await self._step("delete")
        world.deleted.append(name)
        world.machines.pop(name, None)

    async def usage(self, name):
        await self._step("usage")
        self._known(name)
        return next(world.used, None)

    can_suspend = True

    async def suspend(self, name):
        await self._step("suspend")
        self._fail("suspend")
        world.machines[name] = replace(
            self._known(name), stands=Stands.SAVED, why=KEEPS_ROOM if world.keeps_room else ""
        )

    async def resume(self, name):
        await self._step("resume")
        self._fail("resume")
        assert self._known(name).stands is Stands.SAVED
        world.machines[name] = replace(self._known(name), stands=Stands.RUNNING, why="")

    def _fail(self, step):
        if world.fails == step:
            raise Refused("The disk is full.", reason="room")

    async def console(self, name):
        return b"\x1b[32mbooting\nvisa-session: over, exited 72\r\n" if world.fails == "gpu" else b"booting\n"
