"""Virtual machines in the demo, where libvirt is installed: a plan, its disk, its daemon.

python -m demo.machines FOLDER      keep libvirt answering until told to stop
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import yaml
from traitlets.config import Config

from . import libvirt
from .site import ROOT, Site

#: The profile that has the plan, and the plan.
PROFILE, NAME = "general", "machine"
PLAN = {"backend": "vm", "cpus": 2, "memory": "2G", "disk": "20G"}
#: `0`: without machines, also where libvirt is installed.
VARIABLE = "VISA_DEMO_MACHINES"
#: What the disk is made with, beside what libvirt needs.
_TOOLS = ("mcopy", "mkfs.vfat", "syslinux", "sfdisk")


def offered() -> bool:
    """Whether this machine has what that takes."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    tools = all(shutil.which(tool, path=path) for tool in _TOOLS)
    return os.environ.get(VARIABLE) != "0" and tools and not libvirt.missing()


def plan() -> dict:
    """The plan. In software none waits: to boot it would take a core for a minute that nobody asked for."""
    if in_software():
        return PLAN | {"title": "Virtual machine (slow here: no KVM)"}
    return PLAN | {"title": "Virtual machine", "pool": 1}


def in_software() -> bool:
    """Whether machines run without the processor's help here."""
    return libvirt.is_nested() or not os.path.exists("/dev/kvm")


def profiles(site: Site) -> Path:
    """The folder of profiles: the project's own, or a copy in which one has the plan."""
    own = Path(os.environ.get("VISA_DEMO_PROFILES", ROOT / "profiles"))
    if not offered() or not (own / f"{PROFILE}.yaml").exists():
        return own
    copy = site.run / "profiles"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(own, copy)
    profile = yaml.safe_load((own / f"{PROFILE}.yaml").read_text())
    profile["plans"].setdefault(NAME, plan())
    (copy / f"{PROFILE}.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
    return copy


def settings(site: Site) -> Config:
    """What the hub is told of machines."""
    config = Config()
    config.VMSpawner.hub_id = site.hub_id
    config.LibvirtProvider.folder = str(Path("/var/lib/visa") / site.hub_id / "machines")
    config.LibvirtProvider.image_template = f"{site.images}/{{recipe}}.qcow2"
    # Two demos on one machine have networks of their own.
    config.LibvirtProvider.network = f"10.213.{site.port % 256}.0/28"
    config.LibvirtProvider.cpus = 8
    config.LibvirtProvider.memory = "5G"
    config.LibvirtProvider.virtualization = "qemu" if in_software() else "kvm"
    # To boot, and then to become a session: in software, on a machine that is busy otherwise, minutes.
    config.VMSpawner.boot_timeout = 480
    config.VisaSpawner.start_timeout = 900
    return config


def remove_leftovers(site: Site) -> None:
    """Remove this demo's machines, while libvirt answers: what nothing looks after any more."""
    if offered() and libvirt.answers():
        asyncio.run(_remove(site))


async def _remove(site: Site) -> None:
    from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
    from visa_spawner.backends.vm.provider import Refused, Silent

    provider = LibvirtProvider(site.hub_id, config=settings(site))
    try:
        for machine in await provider.list():
            await provider.delete(machine.name)
        await provider.sweep(set())
    except (Silent, Refused) as error:
        print(f"Virtual machines may be left: {error}", flush=True)
    finally:
        provider.close()


def main() -> None:
    """Keep libvirt answering until SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with libvirt.running(Path(sys.argv[1])):
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
