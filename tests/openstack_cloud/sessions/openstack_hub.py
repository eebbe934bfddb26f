"""A hub with machines of the cloud's, as its tests see it."""

import asyncio
import contextlib
import subprocess
from pathlib import Path

from traitlets.config import Config

from tests.machine_hub import PAIR, RECIPE, RESOURCES, Processes
from tests.machine_hub import until as found_out
from tests.openstack_cloud.cloud import GATEWAY
from tests.openstack_cloud.services import free_port
from visa_spawner.backends.vm.openstack.provider import OpenStackProvider
from visa_spawner.backends.vm.pool import order_for


async def until(true, seconds=90.0):
    """Wait for what is to be seen; the services are real, and take their time."""
    await found_out(true, seconds, 0.1)


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of its own, and its key."""
    crt, key = folder / "claim.crt", folder / "claim.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=hub", "-keyout", str(key), "-out", str(crt)]
    subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o600)
    return str(crt), str(key)


class Hub(Processes):
    """One whose machines are servers of a real cloud's."""

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
            # What is silent here refuses at once: these are for a machine that has much else to do.
            "call_timeout": 60.0,
            "hand_over_timeout": 60.0,
            "delete_timeout": 60.0,
        }
        vm = {
            "hub_id": "test",
            "provider": "openstack",
            # Each look costs a third of a second of the services' CPU.
            "watch_interval": 2.0,
            "boot_timeout": 120,
            "stop_grace": 0,
        }
        vm |= {name: settings.pop(name) for name in list(settings) if name in vm}
        self.cloud, self.guests, self.refused = cloud, guests, []
        super().__init__(Config({"VMSpawner": vm, "OpenStackProvider": own | settings}))

    def _begin(self):
        super()._begin()
        self.machines.watch.hurried_interval = 2.0
        assert isinstance(self.machines.make, OpenStackProvider)
        self.machines.make.tell = lambda what, **said: self.refused.append((what, said))

    @property
    def provider(self):
        return self.machines.make

    async def close(self):
        """With nothing left of it in the cloud."""
        await self.machines.close()
        # The quota of the next test counts what is being removed; what fails to be goes at another try.
        for _ in range(9):
            if not self.cloud.names():
                return
            for server in self.cloud.admin.compute.servers(all_projects=True):
                if server.metadata.get("visa:hub") == "test":
                    self.cloud.admin.compute.delete_server(server)
            with contextlib.suppress(AssertionError):
                return await until(lambda: not self.cloud.names(), 10)
        raise AssertionError(f"left in the cloud: {self.cloud.names()}")

    async def boots(self, backend):
        """A session's server, once nova runs it."""
        return await self.up(lambda: backend.machine_name)

    async def up(self, named):
        """The same, of the name that this gives."""
        await until(lambda: self.cloud.runs(named()))
        return self.cloud.server(named())


@contextlib.asynccontextmanager
async def starting(backend):
    """A start under way, which is ended with the test."""
    task = asyncio.create_task(backend.start())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def started(hub, backend):
    """Have a session run; gives where its guest left what it was handed."""
    async with starting(backend) as start:
        folder = hub.guests.boot(await hub.boots(backend))
        await start
    return folder


async def running(hub, name="tooth"):
    """A session that runs."""
    backend = hub.backend(name)
    await started(hub, backend)
    return backend


async def made(hub, nonce):
    """A server of this hub's that is no session's: its name."""
    name = hub.machines.name(nonce)
    image = await hub.provider.image(RECIPE, "")
    tags = {"session": "", "profile": "general", "plan": "machine", "mark": ""}
    await hub.provider.create(order_for(hub.machines, name, image, RESOURCES, 0, tags))
    return name


async def killed(hub, backend, task):
    """The hub's process ends in the midst of a start: what it would have taken back stays."""
    backend._undo = lambda: None
    await hub.machines.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


__all__ = ["PAIR", "Hub", "killed", "made", "running", "started", "starting", "until"]
