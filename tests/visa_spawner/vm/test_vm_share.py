"""A person's directories as a machine gets them: by hand-written 9p, as root of a guest could say it."""

import asyncio
import os
import socket
import time

import pytest
from ninep import NONUNAME, Ninep

from visa_spawner.backends.vm.libvirt import share
from visa_spawner.session import Bind, Person

ALICE = Person("alice", 20001, 20001, (30001,), "/unset")
HUB = "share-test"


@pytest.fixture
def served(tree):
    """Home, raw and processed data, served on the loopback device in place of a machine's line."""
    raw = tree("visitor/a1/RAW_DATA", 0o750, 0, 30001)
    home = tree("home/alice", 0o700, 20001, 20001)
    processed = tree("visitor/a1/PROCESSED_DATA", 0o2770, 0, 30001)
    (raw / "scan").write_text("raw data")
    os.chown(raw / "scan", 20001, 30001)  # the account's own, which the kernel alone keeps from writing
    (tree.root / "secret").write_text("of the host")
    binds = [Bind(str(one), str(one), one is raw) for one in (home, raw, processed)]

    async def begin():
        return await share.open_share(ALICE, binds, hub_id=HUB, machine="one", host="127.0.0.1", device="lo")

    shared = asyncio.run(begin())
    try:
        yield shared, home, raw, processed
    finally:
        share.close_share(HUB, "one")


def connect(shared):
    end = time.monotonic() + 20
    while True:
        try:
            return Ninep("127.0.0.1", shared.port)
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)  # bwrap and Python begin meanwhile


def attached(shared, number):
    client = connect(shared)
    return client, client.attach(shared.exports[number], "person")


def test_home_is_written_as_the_person(served):
    shared, home, _, processed = served
    client, top = attached(shared, 0)
    client.create(top, "mine")
    assert (home / "mine").stat().st_uid == 20001
    client, top = attached(shared, 2)
    client.create(top, "result", 0o640)
    found = (processed / "result").stat()
    assert (found.st_uid, found.st_gid) == (20001, 30001), "a group of the person's is a right of the process"


def test_raw_data_are_read_and_nothing_changes_them(served):
    shared, _, raw, _ = served
    client, top = attached(shared, 1)
    assert client.read(client.walk(top, "scan")) == b"raw data"
    for attempt in (
        lambda: client.write(client.walk(top, "scan"), b"x"),
        lambda: client.create(top, "new"),
        lambda: client.symlink(top, "link", "/etc/passwd"),
        lambda: client.own(client.walk(top, "scan"), 20001, 0o666),
    ):
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno in (30, 13, 1), refused.value  # read-only, or no right to try
    assert (raw / "scan").read_text() == "raw data" and os.listdir(raw) == ["scan"]
    assert (raw / "scan").stat().st_mode & 0o777 == 0o644


def test_to_say_that_one_is_root_gives_nothing(served):
    shared, home, *_ = served
    for uid in (0, 20002, NONUNAME):
        client = connect(shared)
        try:
            top = client.attach(shared.exports[0], "root", uid)
            made = client.create(top, f"as-{uid}")
        except OSError:
            continue
        assert (home / f"as-{uid}").stat().st_uid == 20001
        with pytest.raises(OSError):
            client.own(made, 0, 0o4755)
    assert {one.stat().st_uid for one in home.iterdir()} <= {20001}


def test_a_link_of_the_guests_leads_nowhere(served):
    """The server goes through links by itself: there is nothing that they could lead to."""
    shared, home, raw, _ = served
    client, top = attached(shared, 0)
    root = raw.parents[2]
    for name, target in (
        ("file", f"{root}/secret"),
        ("raw", str(raw)),
        ("up", "../.."),
        ("proc", "/proc/1/root"),
    ):
        client.symlink(top, name, target)
        for way in ((name,), (name, "scan"), (name, "secret"), (name, "etc", "passwd")):
            try:
                said = client.read(client.walk(top, *way))
            except OSError:
                continue
            assert said not in (b"of the host", b"raw data") and b"root:" not in said, (name, way)
    for export in ("/", "/share", "/usr", "/share/0/..", "/etc", str(root)):
        with pytest.raises(OSError):
            connect(shared).attach(export, "person")
    with pytest.raises(OSError):
        client.walk(top, "..", "..", "usr")


def test_its_processes_are_the_person_with_nothing_more(served):
    shared, *_ = served
    attached(shared, 0)
    seen = 0
    for pid, name in share.serving(HUB):
        text = open(f"/proc/{pid}/status").read()
        if "Uid:\t20001\t20001\t20001\t20001" not in text:
            continue
        seen += 1
        assert name == "one" and "Groups:\t20001 30001" in text
        assert "CapEff:\t0000000000000000" in text and "CapBnd:\t0000000000000000" in text
        assert "NoNewPrivs:\t1" in text
        assert not {"home", "var", "root", "proc"} & set(os.listdir(f"/proc/{pid}/root"))
        assert os.listdir(f"/proc/{pid}/root/etc") == ["passwd"]
    assert seen


def test_nobody_else_on_the_host_reaches_it(served):
    """It hears one address on one device alone: that of the machine's line."""
    shared, *_ = served
    with socket.socket() as line:
        line.settimeout(2)
        with pytest.raises(OSError):
            line.connect(("127.0.0.2", shared.port))


def test_it_ends_with_its_machine_and_the_sweep_takes_what_is_left(served):
    shared, *_ = served
    attached(shared, 0)
    share.sweep(HUB, {"one"})
    assert list(share.serving(HUB)), "its machine is there"
    share.sweep("another-hub", set())
    assert list(share.serving(HUB))
    share.sweep(HUB, set())
    end = time.monotonic() + 10
    while list(share.serving(HUB)):
        assert time.monotonic() < end
        time.sleep(0.05)  # a killed process is there until the kernel is done with it
    with pytest.raises(OSError):
        Ninep("127.0.0.1", shared.port)
