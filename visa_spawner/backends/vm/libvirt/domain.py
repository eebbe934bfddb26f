"""A machine as libvirt is told of it: plain values in, XML out, and back. Nothing in it is secret.

Anybody who may ask libvirt reads this XML, and root of the host the command line that comes of it: identity,
token and data come later, by the guest's agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

#: Our element in a domain's metadata. A domain without it is not ours, whatever its name.
NAMESPACE = "https://visa.ill.eu/machine/1"
AGENT = "org.qemu.guest_agent.0"
_TEXT = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")
PCI = re.compile(r"([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")


@dataclass(frozen=True)
class Hardware:
    """What the domain is: names of files on the host; `kind` is `kvm` or `qemu`, `gpus` PCI ids.

    `device` is the host's end of the machine's own line.
    """

    name: str
    kind: str
    cpus: int
    memory: int
    image: Path
    disk: Path
    console: Path
    device: str
    gpus: tuple[str, ...] = ()


def domain_xml(hardware: Hardware, tags: Mapping[str, str]) -> str:
    """The domain; raises ValueError for a GPU that is no PCI id."""
    domain = Element("domain", type=hardware.kind)
    SubElement(domain, "name").text = hardware.name
    metadata = SubElement(domain, "metadata")
    metadata.append(tags_element(tags))
    SubElement(domain, "memory", unit="b").text = str(hardware.memory)
    SubElement(domain, "vcpu").text = str(hardware.cpus)
    system = SubElement(domain, "os")
    SubElement(system, "type", arch="x86_64", machine="q35").text = "hvm"
    SubElement(system, "boot", dev="hd")
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    # Root of a guest could else put it to sleep, and keep its room beyond the session's lifetime.
    sleeps = SubElement(domain, "pm")
    for name in ("suspend-to-mem", "suspend-to-disk"):
        SubElement(sleeps, name, enabled="no")
    if hardware.kind == "qemu":
        # What was translated is kept: a booted system does not fit into what QEMU takes by itself.
        SubElement(SubElement(features, "tcg"), "tb-cache", unit="MiB").text = "512"
    SubElement(domain, "cpu", mode="host-passthrough" if hardware.kind == "kvm" else "maximum")
    # A machine that starts again is a session that has ended: what was in its memory is gone.
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        SubElement(domain, event).text = "destroy"
    devices = SubElement(domain, "devices")
    _disk(devices, hardware)
    _link(devices, hardware.device)
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name=AGENT)
    serial = SubElement(devices, "serial", type="pty")
    # By libvirt's log daemon, which bounds it: a guest must not fill the host's disk with words.
    SubElement(serial, "log", file=str(hardware.console), append="off")
    SubElement(SubElement(devices, "rng", model="virtio"), "backend", model="random").text = "/dev/urandom"
    # None: a balloon would let the host take memory that the plan promised.
    SubElement(devices, "memballoon", model="none")
    SubElement(devices, "controller", type="usb", model="none")
    for gpu in hardware.gpus:
        _gpu(devices, gpu)
    return ElementTree.tostring(domain, encoding="unicode")


def _disk(devices: Element, hardware: Hardware) -> None:
    disk = SubElement(devices, "disk", type="file", device="disk")
    # What a session leaves on it is gone with it: it need not survive the host's own fall.
    SubElement(disk, "driver", name="qemu", type="qcow2", cache="unsafe", discard="unmap")
    SubElement(disk, "source", file=str(hardware.disk))
    backing = SubElement(disk, "backingStore", type="file")
    SubElement(backing, "format", type="qcow2")
    image = SubElement(backing, "source", file=str(hardware.image))
    # It stays root's: libvirt would else give it to QEMU's account, and one machine's QEMU to all others.
    SubElement(image, "seclabel", model="dac", relabel="no")
    SubElement(backing, "backingStore")
    SubElement(disk, "target", dev="vda", bus="virtio")


def _link(devices: Element, device: str) -> None:
    """A line from the host to this machine alone: nothing to listen in on, no address to take from others."""
    interface = SubElement(devices, "interface", type="ethernet")
    # Without the host's address on it: libvirt gives that anew when a paused machine goes on, and fails.
    # Nor made by libvirt, which would take it away while the machine's memory is on disk.
    SubElement(interface, "target", dev=device, managed="no")
    SubElement(interface, "model", type="virtio")


def _gpu(devices: Element, gpu: str) -> None:
    found = PCI.fullmatch(gpu)
    if not found:
        raise ValueError(f"{gpu!r} is no PCI id such as 0000:65:00.0")
    domain, bus, slot, function = (f"0x{part}" for part in found.groups())
    device = SubElement(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
    SubElement(device, "driver", name="vfio")
    address = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    SubElement(SubElement(device, "source"), "address", **address)


def tags_element(tags: Mapping[str, str]) -> Element:
    """Tags as our element of the metadata; what XML cannot hold is left out of a value."""
    element = Element(f"{{{NAMESPACE}}}machine")
    for name, value in tags.items():
        SubElement(element, f"{{{NAMESPACE}}}tag", name=name).text = _TEXT.sub("", value)
    return element


def tags_xml(tags: Mapping[str, str]) -> str:
    """The same as text, for libvirt's call that replaces it."""
    return ElementTree.tostring(tags_element(tags), encoding="unicode")


def tags_from(xml: str) -> dict[str, str]:
    """The tags of our element; raises ValueError where it is none."""
    try:
        element = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError("the metadata are no XML") from error
    found = {}
    for child in element:
        # Libvirt may give the element back with or without the namespace on its parts.
        if child.tag.rpartition("}")[2] == "tag" and "name" in child.attrib:
            found[child.attrib["name"]] = child.text or ""
    return found
