"""The document that makes a machine somebody's, read and checked, and what root does with it."""

import json
from pathlib import Path

import pytest

from visa_session import machine
from visa_session.handover import LARGEST, Refused

MOUNT = {
    "server": "10.1.0.1",
    "port": 4000,
    "export": "/share/0",
    "target": "/data/a",
    "read_only": True,
    "uid": 7,
}
GOOD = {
    "network": {"address": "10.1.0.7/32", "gateway": "10.1.0.1", "dns": ["10.1.0.1"]},
    "mounts": [MOUNT],
    "session": {"hostname": "tooth"},
}


def text(**changes):
    return json.dumps(GOOD | changes).encode()


def test_a_document_is_read():
    given = machine.read(text())
    assert given.network == machine.Network("10.1.0.7/32", "10.1.0.1", ("10.1.0.1",))
    assert given.mounts == (machine.Mount(**MOUNT),) and given.hostname == "tooth"
    assert json.loads(given.session) == {"hostname": "tooth"}
    assert machine.read(text(network=None)).network is None


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100000,
        json.dumps(GOOD | {"more": 1}).encode(),
        text(session=[]),
        text(network={"address": "10.1.0.7/32\n[Match]", "gateway": "", "dns": []}),
        text(network={"address": "10.1.0.7/32", "gateway": "x", "dns": []}),
        *[
            text(mounts=[MOUNT | bad])
            for bad in (
                {"target": "/data/../etc"},
                {"target": "data"},
                {"target": "/"},
                {"target": "/data/a\0b"},
                {"export": "/share/0,access=any"},
                {"server": "10.1.0.1 -o suid"},
                {"port": "4000,rw"},
                {"uid": 0},
                {"uid": True},
                {"read_only": "no"},
                {"more": 1},
            )
        ],
    ],
)
def test_what_is_no_such_document_is_refused_without_quoting_it(document):
    with pytest.raises(Refused) as refused:
        machine.read(document)
    assert "not whole" in str(refused.value)


def test_a_document_without_end_is_refused():
    with pytest.raises(Refused):
        machine.read(text() + b" " * LARGEST)


def test_nothing_mounted_has_more_rights_and_raw_data_are_read_only():
    words = machine.options(machine.Mount(**MOUNT)).split(",")
    assert {"ro", "nosuid", "nodev", "access=7", "aname=/share/0", "trans=tcp"} <= set(words)
    assert "rw" in machine.options(machine.Mount(**MOUNT | {"read_only": False})).split(",")


NFS = {"kind": "nfs", "port": 2049, "export": "/data/x y/RAW_DATA"}


def test_nfs_is_mounted_by_the_kernel_alone_with_no_more_rights():
    *words, server, target = machine.arguments(machine.Mount(**MOUNT | NFS))
    assert words[:3] == ["-i", "-t", "nfs4"] and server == f"{MOUNT['server']}:/data/x y/RAW_DATA"
    assert target == MOUNT["target"]
    options = set(words[4].split(","))
    assert {"ro", "nosuid", "nodev", "hard", f"addr={MOUNT['server']}", "vers=4.2"} <= options
    six = machine.arguments(machine.Mount(**MOUNT | NFS | {"server": "2001:db8::1"}))
    assert six[-2] == "[2001:db8::1]:/data/x y/RAW_DATA"


@pytest.mark.parametrize(
    "change", [{"kind": "cifs"}, {"export": "/a/../b"}, {"export": "a"}, {"server": "nfs"}]
)
def test_an_nfs_mount_that_is_no_plain_place_is_refused(change):
    with pytest.raises(Refused):
        machine.read(text(mounts=[MOUNT | NFS | change]))
    assert machine.read(text(mounts=[MOUNT | NFS])).mounts[0].kind == "nfs"


def test_the_network_is_told_as_systemd_reads_it():
    said = machine.network_file(machine.read(text()).network)
    assert "Address=10.1.0.7/32\n" in said and "Gateway=10.1.0.1\nGatewayOnLink=yes\n" in said
    assert "Gateway" not in machine.network_file(machine.Network("10.1.0.7/24", "", ()))


def test_the_machines_services_keep_their_names():
    before = "root:x:0:0::/root:/bin/sh\nsystemd-network:x:998:998::/:/x\nold:x:20001:1::/:/x\nbroken\n"
    after = "root:x:0:0::/root:/bin/bash\nalice:x:20001:20001::/home/alice:/bin/bash\n"
    names = machine.merged(before, after).splitlines()
    assert names == [*after.splitlines(), "systemd-network:x:998:998::/:/x"]


def test_names_are_kept_whatever_is_written_meanwhile(tmp_path: Path):
    (tmp_path / "passwd").write_text("daemon:x:1:1::/:/x\n")
    (tmp_path / "group").write_text("daemon:x:1:\n")
    with machine.keeping_own_names(tmp_path):
        (tmp_path / "passwd").write_text("alice:x:7:7::/home/alice:/x\n")
        (tmp_path / "group").write_text("alice:x:7:\n")
    assert (tmp_path / "passwd").read_text() == "alice:x:7:7::/home/alice:/x\ndaemon:x:1:1::/:/x\n"
    assert (tmp_path / "group").read_text() == "alice:x:7:\ndaemon:x:1:\n"
