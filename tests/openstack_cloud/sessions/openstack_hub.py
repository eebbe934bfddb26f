"""A hub with machines of the cloud's, as its tests see it."""

import asyncio
import contextlib
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from traitlets.config import Config

from tests.openstack_cloud.cloud import GATEWAY, RECIPE
from tests.openstack_cloud.services import free_port
from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.backends.vm import VMSpawner
from visa_spawner.backends.vm.machines import Machines
from visa_spawner.backends.vm.openstack.provider import OpenStackProvider
from visa_spawner.session import Person, Resources, SessionPlan, WarmPair

RESOURCES = Resources(2, 2 << 30)
PAIR = WarmPair("general", "machine", RECIPE, RESOURCES, size=1)
ALICE = Person("alice", 20001, 20001, (30001,), "/home/alice")


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of its own, and its key."""
    crt, key = folder / "claim.crt", folder / "claim.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=hub", "-keyout", str(key), "-out", str(crt)]
    subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o600)
    return str(crt), str(key)


class Hub:
    """Hub processes one after the other: `restart` leaves servers as they are, and knows nothing."""

    def __init__(self, cloud, guests, folder, **settings):
        crt, key = certificate(folder)
        own = {
            "clouds_file": str(cloud.credentials),
            "network": "visa",
            "security_groups": ["visa"],
            "claim_address": f"{GATEWAY}:{free_port()}",
            "claim_bind": GATEWAY,
            "claim_certificate": crt,
            "claim_key": key,
            "call_timeout": 10.0,
            "hand_over_timeout": 10.0,
        }
        vm = {
            "hub_id": "test",
            "provider": "openstack",
            "watch_interval": 0.5,
            "boot_timeout": 30,
            "stop_grace": 0,
        }
        vm |= {name: settings.pop(name) for name in list(settings) if name in vm}
        self.cloud, self.guests, self.refused = cloud, guests, []
        self._config = Config({"VMSpawner": vm, "OpenStackProvider": own | settings})
        self._begin()

    def _begin(self):
        self.machines = Machines.of(self._config)
        assert isinstance(self.machines.make, OpenStackProvider)
        self.machines.make.tell = lambda what, **said: self.refused.append((what, said))

    @property
    def provider(self):
        return self.machines.make

    def backend(self, name="work", state=None, **plan_changes):
        backend = VMSpawner(config=self._config)
        backend.session = replace(plan(name), **plan_changes)
        if state is not None:
            backend.load_state(state)
        return backend

    async def restart(self):
        await self.machines.close()
        self._begin()
        await self.machines.watch.asked_once()

    async def close(self):
        """With nothing left of it in the cloud."""
        await self.machines.close()
        for server in self.cloud.admin.compute.servers(all_projects=True):
            if server.metadata.get("visa:hub") == "test":
                self.cloud.admin.compute.delete_server(server)
        # The quota of the next test counts what is being removed.
        await until(lambda: not self.cloud.names(), 30)

    async def boots(self, backend):
        """A session's server, once nova runs it."""
        return await self.up(lambda: backend.machine_name)

    async def up(self, named):
        """The same, of the name that this gives."""
        found = None

        def runs():
            nonlocal found
            name = named()
            if not name or name not in self.cloud.names():
                return False
            found = self.cloud.server(name)
            return found["status"] == "ACTIVE"

        await until(runs, 20)
        return found

    def waiting(self):
        """The names of the pool's machines that are up."""
        return [name for name in self.machines.pool.ready if name in self.machines.watch.seen]


@contextlib.asynccontextmanager
async def starting(backend):
    """A start under way, which is ended with the test."""
    task = asyncio.create_task(backend.start())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def killed(hub, backend, task):
    """The hub's process ends in the midst of a start: what it would have taken back stays."""
    backend._undo = lambda: None
    await hub.machines.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def plan(name):
    info = SessionInfo("alice", name)
    environment = {INFO_VARIABLE: info.to_json(), "JUPYTERHUB_SERVICE_PREFIX": "/", "HOME": "/home/alice"}
    labels = {"visa.profile": "general", "visa.plan": "machine"}
    return SessionPlan(info.key, ALICE, RECIPE, RESOURCES, (), {}, environment, labels)


async def until(true, seconds=20.0):
    """Wait for what is to be seen; the services are real, and take their time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not within the time"
        await asyncio.sleep(0.1)  # nothing in the cloud says when it has changed
