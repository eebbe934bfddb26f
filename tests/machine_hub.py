"""A hub with sessions in machines, as its tests see it, whoever makes them."""

import asyncio
import time
from dataclasses import replace

from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.backends.vm import VMSpawner
from visa_spawner.backends.vm.machines import Machines
from visa_spawner.session import Person, Resources, SessionPlan, WarmPair

RECIPE = "base"
RESOURCES = Resources(2, 2 << 30)
PAIR = WarmPair("general", "machine", RECIPE, RESOURCES, size=1)
ALICE = Person("alice", 20001, 20001, (30001,), "/home/alice")


class Processes:
    """Hub processes one after the other: `restart` leaves machines as they are, and knows nothing."""

    def __init__(self, config):
        self._config = config
        self._begin()

    def _begin(self):
        self.machines = Machines.of(self._config)

    def backend(self, name="tooth", state=None, **plan_changes):
        backend = VMSpawner(config=self._config)
        backend.session = replace(plan(name), **plan_changes)
        if state is not None:
            backend.load_state(state)
        return backend

    async def restart(self):
        await self.machines.close()
        self._begin()
        await self.machines.watch.asked_once()

    def waiting(self):
        """The names of the pool's machines that are up."""
        return [name for name in self.machines.pool.ready if name in self.there()]

    def there(self):
        """What there is, by name."""
        return self.machines.watch.seen


def plan(name):
    info = SessionInfo("alice", name)
    environment = {INFO_VARIABLE: info.to_json(), "JUPYTERHUB_SERVICE_PREFIX": "/", "HOME": "/home/alice"}
    labels = {"visa.profile": "general", "visa.plan": "machine"}
    return SessionPlan(info.key, ALICE, RECIPE, RESOURCES, (), {}, environment, labels)


async def until(true, seconds=5.0, pause=0.02):
    """Wait for what is to be seen, up to a deadline."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not within the time"
        await asyncio.sleep(pause)  # nothing that makes machines says when it has changed
