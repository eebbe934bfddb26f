"""What an operator may turn about libvirt, written as `c.LibvirtProvider.*`."""

from __future__ import annotations

import ipaddress

from jupyterhub.traitlets import ByteSpecification
from traitlets import Dict, Enum, Float, HasTraits, List, TraitError, Unicode, validate

from ..hosts import own_cpus, own_memory
from .domain import PCI


class LibvirtSettings(HasTraits):
    """Settings of the libvirt on the hub's own host."""

    uri = Unicode(
        "qemu:///system",
        help="""The libvirt to ask. It must be on the hub's own host: data are shared from there, and disks
        and consoles are files there.""",
    ).tag(config=True)
    folder = Unicode(
        "/var/lib/visa/machines",
        help="""Where disks and console logs of machines stand while they exist. QEMU's account must be able
        to enter it; a disk grows to what a session writes, up to its plan's `disk`.""",
    ).tag(config=True)
    image_template = Unicode(
        "/var/lib/visa/images/{recipe}.qcow2",
        help="Where a profile's disk stands: what `python -m images.disk NAME FOLDER` makes.",
    ).tag(config=True)
    cpus = Float(
        own_cpus(),
        help="Cores that machines may take altogether. More than the host has: they share them when busy.",
    ).tag(config=True)
    memory = ByteSpecification(
        own_memory() // 2,
        help="""Memory that machines may take altogether, those that wait included. More than the host has to
        spare, and the kernel ends whole machines. QEMU's own comes on top: where it runs in software, up to
        512 MB a machine.""",
    ).tag(config=True)
    gpus = Dict(
        Unicode(),
        help="""GPUs for machines: PCI id, as `0000:65:00.0`, to a type that plans name with `gpu_type`. Each
        must be alone in its IOMMU group, and no driver of the host may need it.""",
    ).tag(config=True)
    network = Unicode(
        "10.213.0.0/24",
        help="""Addresses for machines, used by nothing else here, and by no other hub. The first is the
        host's, at its end of every machine's own line; the others are one machine's each.""",
    ).tag(config=True)
    dns = List(
        Unicode(),
        help="Addresses of servers of names, told to machines; they must be reachable from there.",
    ).tag(config=True)
    virtualization = Enum(
        ["auto", "kvm", "qemu"],
        "auto",
        help="""`kvm`: by the processor. `qemu`: in software, ten to thirty times slower, for trying out.
        `auto`: what libvirt says that the host can do.""",
    ).tag(config=True)
    call_timeout = Float(
        20.0, help="Seconds without an answer of libvirt after which its sessions are shown as unknown."
    ).tag(config=True)
    hand_over_timeout = Float(
        240.0,
        min=1,
        help="""Seconds that a machine which is up may take to become its person's session. Longer: where it
        runs in software. It adds to `c.VMSpawner.boot_timeout`; `c.VisaSpawner.start_timeout` holds too.""",
    ).tag(config=True)
    free_disk = ByteSpecification(
        "5G",
        help="""What must be free in `folder`'s file system, else no machine is made. Disks grow as sessions
        write, and all machines stand still when nothing is left. More: more warning. On a file system of its
        own they never fill the hub's.""",
    ).tag(config=True)

    @validate("network")
    def _check_network(self, proposal):
        try:
            network = ipaddress.IPv4Network(proposal.value)
        except ValueError as error:
            raise TraitError(f"LibvirtProvider.network: {error}") from None
        if network.prefixlen > 29:
            raise TraitError("LibvirtProvider.network must have room for six addresses at least (/29)")
        return proposal.value

    @validate("gpus")
    def _check_gpus(self, proposal):
        for gpu in proposal.value:
            if not PCI.fullmatch(gpu):
                raise TraitError(
                    f"LibvirtProvider.gpus: {gpu!r} is no PCI id such as 0000:65:00.0, in lower case"
                )
        return proposal.value

    @validate("dns")
    def _check_dns(self, proposal):
        for one in proposal.value:
            try:
                ipaddress.ip_address(one)
            except ValueError as error:
                raise TraitError(f"LibvirtProvider.dns: {error}") from None
        return proposal.value

    @validate("folder", "image_template")
    def _check_path(self, proposal):
        if not proposal.value.startswith("/"):
            raise TraitError(f"LibvirtProvider.{proposal.trait.name} must be an absolute path")
        return proposal.value
