"""A hub with machines of the memory provider's, as its tests see it."""

import asyncio
import time

from traitlets.config import Config

from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.backends.vm import VMSpawner
from visa_spawner.backends.vm.machines import Machines
from visa_spawner.session import Person, Resources, SessionPlan, WarmPair

CONFIG = {
    "hub_id": "test",
    "provider": "memory_provider.MemoryProvider",
    "watch_interval": 0.2,
    "boot_timeout": 2,
    "stop_grace": 1,
}
RESOURCES = Resources(2, 2 << 30)
PAIR = WarmPair("general", "machine", "base", RESOURCES, size=1)


class Hub:
    """Hub processes one after the other: `restart` leaves machines as they are, and knows nothing."""

    def __init__(self, world):
        self._world, self._config = world, Config({"VMSpawner": CONFIG})
        self.machines = Machines.of(self._config)

    def backend(self, name="work", state=None):
        backend = VMSpawner(config=self._config)
        backend.session = plan(name)
        if state is not None:
            backend.load_state(state)
        return backend

    async def restart(self):
        await self.machines.close()
        self.machines = Machines.of(self._config)
        await self.machines.watch.asked_once()

    def waiting(self):
        return [name for name in self.machines.pool.ready if name in self._world.machines]


def plan(name):
    info = SessionInfo("alice", name)
    environment = {INFO_VARIABLE: info.to_json(), "JUPYTERHUB_SERVICE_PREFIX": "/", "HOME": "/home/alice"}
    labels = {"visa.profile": "general", "visa.plan": "machine"}
    person = Person("alice", 20001, 20001, (30001,), "/home/alice")
    return SessionPlan(info.key, person, "base", RESOURCES, (), {}, environment, labels)


async def until(true, seconds=5.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not within the time"
        await asyncio.sleep(0.02)  # the watch looks five times a second
