"""What it costs to watch sessions in machines: one look, at real domains of the real libvirt, few and many.

Each is a QEMU of its own with a line to the host and its tags, defined and started as the provider does it,
but held before its first instruction: what runs in it costs the list nothing. A session follows each.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from traitlets.config import Config

from visa_spawner.backends.vm import VMSpawner, tags
from visa_spawner.backends.vm.libvirt import files, line
from visa_spawner.backends.vm.libvirt.domain import Hardware, domain_xml
from visa_spawner.backends.vm.machines import Machines

from ..hub import BenchFailed
from ..rounds import Figures
from ..slurm.watch import user_of
from .by_hand import cpu_of
from .host import GATEWAY, HUB_ID, NETWORK, Host
from .relay import relay

#: Looks that make one round, since one alone is over in milliseconds; the round is their mean.
LOOKS = 20
ROUNDS = 3
#: How many are started at a time.
AT_ONCE = 3
#: MB of memory of a machine that never runs.
LITTLE = 16
_QCOW2 = ("qemu-img", "create", "-q", "-f", "qcow2")


def _key(number: int) -> str:
    return f"visabench/s{number}"


def _name(number: int) -> str:
    return f"visa-{HUB_ID}-watched{number:04}"


class Watched:
    """So many machines, each with a session; `grow` makes more."""

    def __init__(self, host: Host, uri: str):
        self._host, self._empty = host, host.folder / "empty.qcow2"
        host.machines.mkdir(mode=0o711, exist_ok=True)
        subprocess.run([*_QCOW2, self._empty, "1M"], check=True)
        config = Config({"LibvirtProvider": host.libvirt() | {"uri": uri}})
        # Nothing but `round` makes the watch look, as often as that asks.
        config.VMSpawner.update({"hub_id": HUB_ID, "watch_interval": 3600.0, "idle_watch_interval": 3600.0})
        self.machines = Machines.of(config)
        self._user, self._session = user_of(config, VMSpawner)
        self.spawners: list[VMSpawner] = []

    async def grow(self, count: int) -> None:
        """Have so many."""
        numbers = range(len(self.spawners), count)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(threads, self._make, number) for number in numbers))
        for number in numbers:
            spawner = self._user.get_or_create_spawner(f"s{number}", "")
            spawner.load_state({"machine": _name(number), "key": _key(number), "memory": LITTLE << 20})
            self.spawners.append(spawner)

    def _make(self, number: int) -> None:
        import libvirt

        name, folder = _name(number), self._host.machines
        first = NETWORK.rpartition(".")[0]
        address = f"{first}.{number + 2}"
        disk = files.disk(folder, name)
        subprocess.run([*_QCOW2, "-F", "qcow2", "-b", self._empty, disk], check=True)
        line.connect(GATEWAY, address)
        console, device = files.console_log(folder, name), line.device_of(address)
        hardware = Hardware(name, "qemu", 1, LITTLE << 20, self._empty, disk, console, device)
        told = {tags.HUB: HUB_ID, tags.SESSION: _key(number), tags.ADDRESS: address, tags.HOST: "libvirt"}
        told |= {tags.CPUS: "1", tags.MEMORY: str(LITTLE << 20), tags.GPUS: ""}
        connection = libvirt.open("qemu:///system")
        try:
            domain = connection.defineXML(domain_xml(hardware, told))
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        finally:
            connection.close()

    async def round(self) -> None:
        """One look, which every session follows."""
        await self.machines.watch.fresh()

    def check(self) -> None:
        """Raise BenchFailed unless each session knows by now how its machine stands."""
        known = sum(spawner.status is not None and spawner.status.held for spawner in self.spawners)
        if known != len(self.spawners):
            raise BenchFailed(f"the watch found {known} of {len(self.spawners)} machines")

    async def close(self) -> None:
        await self.machines.close()
        self._session.close()


def libvirtd() -> int:
    """The daemon's process."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "comm").read_text().strip() == "libvirtd":
                return int(place.name)
        except OSError:
            continue
    raise BenchFailed("libvirtd does not run")


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def take(figures: Figures, host: Host, counts: tuple[int, ...]) -> None:
    """For each number of machines, rounds of looks: what was asked, and whose CPU it took."""
    daemon = libvirtd()
    with relay(host.folder / "relay") as counted:
        watched = Watched(host, counted.uri)
        try:
            for count in counts:
                await watched.grow(count)
                for _ in range(2):  # the first asks each new machine for its tags, once
                    await watched.round()
                watched.check()
                for _ in range(ROUNDS):
                    asked, hub, others = counted.asked, _own(), cpu_of(daemon)
                    for _ in range(LOOKS):
                        await watched.round()
                    watched.check()
                    figures.add(f"asked {count}", "watch", (counted.asked - asked) / LOOKS)
                    figures.add(f"hub {count}", "watch", (_own() - hub) / LOOKS)
                    figures.add(f"libvirtd {count}", "watch", (cpu_of(daemon) - others) / LOOKS)
                print(".", end="", flush=True)
        finally:
            await watched.close()
