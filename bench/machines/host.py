"""What all figures of machines need: libvirt, the disk, a place, one account; and the hub that has them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from traitlets.config import Config

from demo import libvirt
from images.build import main as build
from images.disk import main as disk
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider

from .. import small_hub
from ..hub import BenchFailed, Hub

#: Where the disk stands, once made: as the tests make it.
IMAGES = Path("/var/lib/visa-test-images")
IMAGE = "base"
HUB_ID = "bench-machines"
PERSON, UID = "visabench", 29901
EXPERIMENT = "A-1"
#: Processors and MB of memory of every machine here, ours and by hand.
CPUS, MEMORY = 2, 1400
#: An address of the host's own, which machines reach by their line; theirs, the last by hand.
ADDRESS, NETWORK, GATEWAY, BY_HAND = "10.219.255.1", "10.219.0.0/24", "10.219.0.1", "10.219.0.254"
PORT = 23970


@dataclass(frozen=True)
class Host:
    """A folder that QEMU's account can enter, with the facility's few directories in it."""

    folder: Path

    @property
    def machines(self) -> Path:
        """Where machines have their files."""
        return self.folder / "machines"

    @property
    def image(self) -> Path:
        """The disk that all machines start from."""
        return IMAGES / f"{IMAGE}.qcow2"

    def libvirt(self) -> dict:
        """What the provider is told. As many machines as one: the next is made when the last is gone."""
        return {
            "image_template": f"{IMAGES}/{{recipe}}.qcow2",
            "folder": str(self.machines),
            "network": NETWORK,
            "virtualization": "qemu",
            "memory": f"{MEMORY + 100}M",
            "free_disk": "2G",
        }


@contextmanager
def prepared() -> Iterator[Host]:
    """Libvirt and the disk while inside; nothing of ours is left. Raises BenchFailed."""
    if lacking := libvirt.missing():
        raise BenchFailed(f"missing on this machine: {lacking}")
    if build([IMAGE]) or disk([IMAGE, str(IMAGES), "--keep-hours", "1"]):
        raise BenchFailed("the disk could not be made: see above")
    folder = Path(tempfile.mkdtemp(prefix="visa-bench-machines-", dir="/var/lib"))
    folder.chmod(0o711)
    host = Host(folder)
    try:
        with libvirt.running(folder / "libvirt"):
            subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
            try:
                _furnish(host)
                yield host
            finally:
                asyncio.run(_remove_all(host))
                subprocess.run(["ip", "address", "del", f"{ADDRESS}/32", "dev", "lo"], check=False)
    finally:
        shutil.rmtree(folder)


def _furnish(host: Host) -> None:
    """One experiment with raw data, and a home."""
    raw, home = host.folder / "data/RAW_DATA", host.folder / "home" / PERSON
    for place in (raw, home):
        place.mkdir(parents=True)
    for place in (host.folder / "data", raw, home.parent):
        place.chmod(0o755)
    home.chmod(0o700)
    os.chown(home, UID, UID)
    experiment = {"id": EXPERIMENT, "title": "Bench", "proposal": EXPERIMENT, "instrument": "id19"}
    experiment |= {"team": [PERSON], "start": "2026-05-01", "end": "2026-05-04"}
    experiment |= {"raw": str(raw), "datasets": []}
    (host.folder / "experiments.yaml").write_text(yaml.safe_dump([experiment]))


@asynccontextmanager
async def hub(host: Host, name: str, pool: int) -> AsyncIterator[Hub]:
    """Our hub with one plan of machines, of which so many wait; its log is `FOLDER/NAME/hub.log`."""
    scratch = host.folder / name
    (scratch / "profiles").mkdir(parents=True)
    plan = {"title": "Machine", "backend": "vm", "cpus": CPUS, "memory": f"{MEMORY}M"}
    profile = {"name": "bench", "title": "Bench", "image": IMAGE}
    profile["plans"] = {"machine": plan | ({"pool": pool} if pool else {})}
    profile["lifetime"] = {"default_hours": 1, "max_hours": 4, "idle_hours": 3}
    (scratch / "profiles/bench.yaml").write_text(yaml.safe_dump(profile))
    home = str(host.folder / "home" / PERSON)
    account = {"username": PERSON, "home": home, "uid": UID, "gid": UID, "gids": []}
    settings = {
        "port": PORT,
        "host": ADDRESS,
        "account": account | {"roles": ["scientist"], "teams": [EXPERIMENT]},
        "backends": {"vm": "visa_spawner.backends.vm.VMSpawner"},
        "sections": {
            "VisaSite": {
                "profiles_dir": str(scratch / "profiles"),
                "catalogue_address": f"file://{host.folder}/experiments.yaml",
                "home_roots": [str(host.folder / "home")],
                "staging_dir": str(scratch / "staging"),
            },
            "VisaSpawner": {"start_timeout": 900, "http_timeout": 120},
            # What is measured is over by then: nobody waits for a machine to end in order.
            "VMSpawner": {"hub_id": HUB_ID, "boot_timeout": 600, "stop_grace": 1},
            "LibvirtProvider": host.libvirt(),
        },
    }
    options = {"experiments": [EXPERIMENT], "profile": "bench", "plan": "machine", "interface": "lab"}
    async with small_hub.running("machines", settings, scratch, person=PERSON) as (url, token):
        yield Hub(kind="machines", url=url, user=PERSON, password="", token=token, options=options)


async def _remove_all(host: Host) -> None:
    provider = LibvirtProvider(HUB_ID, config=Config({"LibvirtProvider": host.libvirt()}))
    try:
        for machine in await provider.list():  # one by one: libvirt ends them so in any case
            await provider.delete(machine.name)
        await provider.sweep(set())
    finally:
        provider.close()
