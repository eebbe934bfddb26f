"""Whether whoever makes virtual machines answers, has the disks, and room for more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from traitlets import TraitError
from traitlets.utils.importstring import import_item

from visa_spawner.backends.vm.libvirt.settings import LibvirtSettings
from visa_spawner.backends.vm.provider import Provider, Refused, Silent
from visa_spawner.backends.vm.settings import PROVIDERS

from ..finding import CannotLook, Finding, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

_RUN_ON = "sessions there are shown as unknown and run on"


async def look(here: Installation) -> Look:
    """By the class that makes them, whichever it is; of libvirt's what lies on this machine as well."""
    plans = here.plans("vm")
    if not plans:
        return
    provider = _provider(here)
    try:
        try:
            machines = await provider.list()
        except ImportError as error:
            yield wrong(
                f"No machine can be started: the hub's environment has no Python package {error.name}.",
                "Install the part `vm` of the release (`visa_extras: hub,vm` with the playbooks), and restart"
                " the hub.",
                here.machines.provider,
            )
            return
        except (Silent, Refused) as error:
            yield wrong(
                f"It does not answer ({worded(error)}); {_RUN_ON}.", _mend(provider), here.machines.provider
            )
            return
        faults = [one async for one in _images(provider, sorted({profile.image for profile, _, _ in plans}))]
        faults += _too_large(provider, plans)
        if isinstance(provider, LibvirtSettings):
            faults += await in_thread(lambda: list(_host(provider)))
    finally:
        provider.close()
    for finding in faults:
        yield finding
    if not faults:
        yield fine(f"It answers, with {len(machines)} machines of this hub.", here.machines.provider)


def _provider(here: Installation) -> Provider:
    name = here.machines.provider
    try:
        return import_item(PROVIDERS.get(name, name))(hub_id=here.machines.hub_id, config=here.config)
    except (ImportError, TraitError, ValueError) as error:
        raise CannotLook(
            f"who makes machines cannot be set up: {worded(error)}", because="configuration"
        ) from error


def _mend(provider: Provider) -> str:
    if isinstance(provider, LibvirtSettings):
        return f"`systemctl status libvirtd virtlogd`, then `virsh -c {provider.uri} list`."
    return "See its own status page, and whether the hub's account there still holds."


async def _images(provider: Provider, recipes: list[str]) -> Look:
    for recipe in recipes:
        try:
            found = await provider.image(recipe, "")
        except (Silent, Refused) as error:
            yield wrong(
                f"Whether there is a disk of {recipe} it does not say: {worded(error)}.", _mend(provider)
            )
            return
        if found is None:
            mend = (
                f"`python -m images.disk {recipe} FOLDER`, FOLDER being that of"
                " c.LibvirtProvider.image_template."
            )
            yield wrong(f"There is no disk of {recipe}: its sessions do not start.", mend, recipe)


def _too_large(provider: Provider, plans: list) -> list[Finding]:
    found = []
    for profile, name, plan in plans:
        holds = [host for host in provider.hosts if host.cpus >= plan.cpus and host.memory >= plan.memory]
        if provider.hosts and not holds:
            what = f"The plan {name} is larger than every host of machines: it can never start."
            found.append(wrong(what, "Make the plan smaller, and restart the hub.", profile.name))
    return found


def _host(provider: LibvirtSettings) -> Iterator[Finding]:
    folder = Path(provider.folder)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < provider.free_disk:
        yield wrong(
            f"{folder} has {free >> 30} GB left, less than c.LibvirtProvider.free_disk: no machine is made.",
            "Stop sessions that nobody needs, or make room there; running machines stand still when it is"
            " full.",
        )
    elif free < 2 * provider.free_disk:
        yield warning(f"{folder} has {free >> 30} GB left, and disks of machines grow.", "Make room there.")
    if provider.virtualization != "qemu" and not Path("/dev/kvm").exists():
        yield warning(
            "This machine has no /dev/kvm: machines run in software, ten to thirty times slower.",
            "Turn virtualization on in its firmware, or `modprobe kvm_intel` (`kvm_amd`).",
        )
