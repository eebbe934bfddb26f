"""A person's directories as a machine gets them: by hand-written 9p, as root of a guest could say it."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ninep import NONUNAME, Ninep

from visa_spawner.backends.vm.libvirt import reaching, share
from visa_spawner.backends.vm.provider import Refused
from visa_spawner.session import Bind, Person

ALICE = Person("alice", 20001, 20001, (30001,), "/unset")
HUB = "share-test"


async def opened(binds, device="lo"):
    return await share.open_share(ALICE, binds, hub_id=HUB, machine="one", host="127.0.0.1", device=device)


@pytest.fixture
def served(tree, monkeypatch):
    """Home, raw and processed data, served on the loopback device in place of a machine's line."""
    raw = tree("visitor/a1/RAW_DATA", 0o750, 0, 30001)
    home = tree("home/alice", 0o700, 20001, 20001)
    processed = tree("visitor/a1/PROCESSED_DATA", 0o2770, 0, 30001)
    (raw / "scan").write_text("raw data")
    os.chown(raw / "scan", 20001, 30001)  # the account's own, which the kernel alone keeps from writing
    (tree.root / "secret").write_text("of the host")
    binds = [Bind(str(one), str(one), one is raw) for one in (home, raw, processed)]

    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "secret-of-the-hub")
    shared = asyncio.run(opened(binds))
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
            time.sleep(0.1)  # between two tries, up to the deadline above: bwrap and Python begin meanwhile


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
    for export in ("/", "/share", "/usr", f"{shared.exports[0]}/..", "/etc", str(root)):
        with pytest.raises(OSError):
            connect(shared).attach(export, "person")
    with pytest.raises(OSError):
        client.walk(top, "..", "..", "usr")


def test_directories_come_and_go_while_it_runs(served, tree):
    """As root of a guest would reach them: read-only ones stay so, those that went are not there."""
    shared, _, raw, _ = served
    more = tree("visitor/b2/RAW_DATA", 0o755, 20001, 20001)
    (more / "scan").write_text("more data")
    os.chown(more / "scan", 20001, 20001)
    found = reaching.served(HUB, "one")
    assert (found.port, found.uid) == (shared.port, 20001), "by the kernel's word"
    asyncio.run(reaching.change(HUB, "one", [Bind(str(more), "/data/b2/raw", True)]))
    client = connect(shared)
    top = client.attach(share.export_of("/data/b2/raw"), "person")
    assert client.read(client.walk(top, "scan")) == b"more data"
    for attempt in (
        lambda: client.write(client.walk(top, "scan"), b"x"),
        lambda: client.create(top, "new"),
        lambda: client.own(client.walk(top, "scan"), 20001, 0o666),
    ):
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno in (30, 13, 1), refused.value
    other, there = attached(shared, 1)
    asyncio.run(reaching.change(HUB, "one", gone=["/data/b2/raw", str(raw), "/never/there"]))
    for one, at in ((client, top), (other, there)):
        with pytest.raises(OSError):
            one.read(one.walk(at, "scan"))
    for export in (share.export_of("/data/b2/raw"), shared.exports[1]):
        with pytest.raises(OSError):
            connect(shared).attach(export, "person")
    assert (raw / "scan").read_text() == "raw data", "where it really is it stays"
    attached(shared, 0)


def test_what_cannot_be_added_leaves_all_as_it_was(served, tree):
    shared, home, *_ = served
    good, bad = Bind(str(tree("visitor/c3", 0o755, 0, 0)), "/c3", True), Bind("/no-such", "/d4", True)
    for binds in ([good, bad], [good, Bind(str(home), str(home), False)]):
        with pytest.raises(Refused):
            asyncio.run(reaching.change(HUB, "one", binds))
        with pytest.raises(OSError):
            connect(shared).attach(share.export_of("/c3"), "person")
    attached(shared, 0)
    for name, hub in (("two", HUB), ("one", "another-hub")):
        with pytest.raises(Refused, match="nothing serves"):
            asyncio.run(reaching.change(hub, name, [good]))
        with pytest.raises(Refused):
            reaching.served(hub, name)


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
        # Nor is the host's network there, for a fault in what hears the guest.
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        assert "Max address space         4294967296" in open(f"/proc/{pid}/limits").read()
    assert seen


def test_nothing_of_the_hubs_environment_is_in_its_processes(served):
    shared, *_ = served
    for pid, _ in share.serving(HUB):
        said = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"CONFIGPROXY_AUTH_TOKEN" not in said and b"secret-of-the-hub" not in said


def test_what_is_no_server_is_said_at_once_and_why(tree, monkeypatch):
    begun = time.monotonic()
    with pytest.raises(Refused, match="no-such-directory"):
        asyncio.run(opened([Bind("/no-such-directory", "/home/alice", False)]))
    with pytest.raises(Refused, match="no-such-line"):
        asyncio.run(opened([], device="no-such-line"))
    assert time.monotonic() - begun < 15 and not list(share.serving(HUB))


def test_where_systemd_runs_it_is_in_a_scope_of_its_own(tmp_path, monkeypatch):
    """No systemd runs here: what it would be told is all that can be looked at."""
    assert share.command(ALICE, [], HUB, "one", 7)[0] == "bwrap"
    monkeypatch.setattr(share, "SYSTEMD", tmp_path)
    words = share.command(ALICE, [], HUB, "one", 7)
    assert words[:2] == ["systemd-run", "--scope"] and words[words.index("--") + 1] == "bwrap"
    assert "MemoryMax=2G" in words[: words.index("--")]


def test_a_number_that_is_anothers_by_now_is_not_killed_and_long_words_are_not_read():
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            share._kill(other.pid, HUB, "one")
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.2)
        finally:
            other.kill()
    # A program that is only there to be looked at, and is killed below.
    words = ["-c", "import time; time.sleep(60)", *["x" * 1000] * 100, share.mark(HUB, "one")]
    with subprocess.Popen([sys.executable, *words]) as other:
        try:
            assert not share._served_by(other.pid, HUB)
        finally:
            other.kill()


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
