"""What libvirt is told of a machine: plain values in, XML out, and nothing secret."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from visa_spawner.backends.vm.libvirt import files
from visa_spawner.backends.vm.libvirt.domain import Hardware, domain_xml, tags_from, tags_xml
from visa_spawner.backends.vm.libvirt.states import stands
from visa_spawner.backends.vm.provider import BY_HOST, SAVING, Stands


def domain(**changes):
    values = {
        "name": "visa-here-alice-tooth-1",
        "kind": "kvm",
        "cpus": 4,
        "memory": 4 << 30,
        "device": "visa0ad50007",
    }
    values |= {
        "image": Path("/i/base.qcow2"),
        "disk": Path("/m/one.qcow2"),
        "console": Path("/m/one.console"),
    }
    return ElementTree.fromstring(domain_xml(Hardware(**values | changes), {"hub": "here"}))


def test_it_has_what_the_plan_says():
    made = domain()
    assert made.get("type") == "kvm" and made.findtext("vcpu") == "4"
    assert made.find("memory").attrib == {"unit": "b"} and made.findtext("memory") == str(4 << 30)
    assert made.find("devices/disk/source").get("file") == "/m/one.qcow2"
    backing = made.find("devices/disk/backingStore/source")
    assert backing.get("file") == "/i/base.qcow2" and backing.find("seclabel").get("relabel") == "no"
    assert domain(kind="qemu").find("features/tcg/tb-cache") is not None
    assert made.find("features/tcg") is None, "libvirt refuses it beside KVM"


def test_it_has_a_line_of_its_own_to_the_host_and_no_other():
    (interface,) = domain().findall("devices/interface")
    assert interface.get("type") == "ethernet" and interface.find("source") is None
    assert interface.find("target").attrib == {"dev": "visa0ad50007", "managed": "no"}, "it outlasts QEMU"


def test_nothing_of_the_hosts_is_in_it():
    """No share of files, no screen, no balloon: what is shared comes over the line, as the person."""
    devices = domain().find("devices")
    kinds = {one.tag for one in devices}
    assert kinds == {"disk", "interface", "channel", "serial", "rng", "memballoon", "controller"}
    assert devices.find("memballoon").get("model") == "none"
    assert domain().findtext("on_reboot") == "destroy", "another boot would be another session"
    asleep = {one.tag: one.get("enabled") for one in domain().find("pm")}
    assert asleep == {"suspend-to-mem": "no", "suspend-to-disk": "no"}, "a guest does not outlast its time so"


def test_its_console_is_written_by_the_daemon_that_bounds_it():
    serial = domain().find("devices/serial")
    assert serial.get("type") == "pty" and serial.find("log").get("file") == "/m/one.console"


def test_the_end_of_a_console_is_read_over_the_part_that_was_just_put_away(tmp_path):
    files.console_log(tmp_path, "one").write_bytes(b"over\n")
    assert files.console(tmp_path, "one") == b"over\n"
    (tmp_path / "one.console.0").write_bytes(b"x" * files.CONSOLE + b"nearly ")
    assert files.console(tmp_path, "one").endswith(b"nearly over\n")
    assert len(files.console(tmp_path, "one")) == files.CONSOLE and files.console(tmp_path, "two") == b""


def test_gpus_are_given_by_their_pci_ids():
    """No machine here has one: the XML is all that can be looked at."""
    (device,) = domain(gpus=("0000:65:00.1",)).findall("devices/hostdev")
    address = device.find("source/address").attrib
    assert address == {"domain": "0x0000", "bus": "0x65", "slot": "0x00", "function": "0x1"}
    assert device.get("managed") == "yes"
    for bad in ("65:00.1", "0000:65:00.9", "0000:65:00.1'/><x", ""):
        with pytest.raises(ValueError):
            domain(gpus=(bad,))


def test_tags_come_back_as_they_went_in():
    tags = {"hub": "here", "session": "al<ice/w&rk", "empty": "", "odd": "a\x00b\x1bé"}
    assert tags_from(tags_xml(tags)) == tags | {"odd": "abé"}
    metadata = domain().find("metadata")
    assert tags_from(ElementTree.tostring(metadata[0], encoding="unicode")) == {"hub": "here"}
    with pytest.raises(ValueError):
        tags_from("<no")


def test_a_name_cannot_add_anything():
    made = domain(name="a</name><devices/>", disk=Path("/m/'\"<x>.qcow2"))
    assert made.findtext("name") == "a</name><devices/>"
    assert len(made.findall("devices")) == 1 and len(made.findall("devices/disk")) == 1


@pytest.mark.parametrize(
    ("state", "reason", "what"),
    [
        (1, 1, (Stands.RUNNING, "")),
        (3, 1, (Stands.PAUSED, "")),
        (3, 5, (Stands.PAUSED, "full")),
        (5, 1, (Stands.ENDED, "shut down")),
        (5, 5, (Stands.SAVED, BY_HOST)),
        (3, 3, (Stands.PAUSED, SAVING)),
        (5, 0, (Stands.ENDED, "")),
        (6, 0, (Stands.ENDED, "crashed")),
    ],
)
def test_how_a_domain_stands(state, reason, what):
    assert stands(state, reason) == what
