"""Real machines of a real libvirt, which boot nothing: how they are made, listed, told apart and removed."""

import asyncio
import os
import signal
import stat
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from libvirt_machines import ORDER, left, run, to_be_stopped, virsh
from traitlets import TraitError

from demo import libvirt as daemon
from visa_spawner.backends.vm.libvirt import files, line, share
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.backends.vm.provider import UNSERVED, NotTaken, Refused, Silent, Stands
from visa_spawner.session import Person


async def test_a_machine_from_its_making_to_its_end(provider):
    await provider.create(ORDER)
    (found,) = await provider.list()
    assert (found.name, found.stands, found.address) == ("visa-test-one", Stands.RUNNING, "10.216.0.2")
    assert found.tags["session"] == "alice/tooth"
    said = run("ip", "-o", "addr", "show", "visa0ad80002")
    assert "10.216.0.1 peer 10.216.0.2/32" in said, "a line of its own"
    assert (Path(provider.image_template.format(recipe="empty"))).stat().st_uid == 0, (
        "the image that all start from is not QEMU's"
    )
    await provider.tag(found.name, {"session": "bob/late"})
    assert (await provider.list())[0].tags["session"] == "bob/late"
    assert (await LibvirtProvider("vm-test", config=provider.config).list())[0].tags["session"] == "bob/late"
    assert not await provider.waits(found.name), "nothing answers in it"
    (disk,) = Path(provider.folder).glob("*.qcow2")
    assert stat.S_IMODE(disk.stat().st_mode) == 0o600, "a session's disk is for no account of the host"
    virsh("suspend", found.name)
    assert (await provider.list())[0].stands is Stands.PAUSED
    virsh("resume", found.name)
    virsh("snapshot-create-as", found.name, "by-staff")
    virsh("destroy", found.name)
    ended = (await provider.list())[0]
    assert (ended.stands, ended.why) == (Stands.ENDED, "destroyed")
    for name in (".console.0", ".console.2"):  # what the log daemon puts away when a guest says much
        Path(provider.folder, found.name + name).write_text("x")
    assert list(files.LOGS.glob(f"{found.name}.log*"))
    await provider.delete(found.name)
    assert await provider.list() == [] and left(provider) == []
    assert not list(files.LOGS.glob(f"{found.name}.log*"))
    await provider.delete(found.name)


async def test_its_line_is_closed_to_what_a_guest_could_say_of_the_way(provider, monkeypatch):
    """Before it is up: a guest that has IPv6 told to the host would be its way to everywhere."""
    device, said, real = "visa0ad80002", [], line._said

    def kept(name):
        return Path(f"/proc/sys/net/{name.format(device)}").read_text().strip()

    def watched(*command):
        if "up" in command:
            said.append([kept(f"ipv6/conf/{{}}/{one}") for one in ("disable_ipv6", "accept_ra")])
        real(*command)

    monkeypatch.setattr(line, "_said", watched)
    await provider.create(ORDER)
    assert said == [["1", "0"]] and kept("ipv4/conf/{}/rp_filter") == "1"
    assert "inet6" not in run("ip", "-o", "addr", "show", device)
    run("ip", "addr", "flush", "dev", device)  # as when the hub was killed before it came to that
    run("ip", "link", "set", device, "down")
    with pytest.raises(NotTaken):
        await provider.hand_over(ORDER.name, Person("alice", 20001, 20001, (), "/home/alice"), (), {})
    assert "10.216.0.1 peer 10.216.0.2/32" in run("ip", "-o", "addr", "show", "up", device)
    assert (await provider.list())[0].why == ""
    share.close_share("vm-test", ORDER.name)
    for _ in range(100):
        if list(share.serving("vm-test")):
            await asyncio.sleep(0.02)  # a killed process is there until the kernel is done with it
    assert (await provider.list())[0].why == UNSERVED


async def test_calls_that_hang_hold_up_no_list(provider):
    goes_on = threading.Event()
    hanging = [
        asyncio.create_task(lane.call(lambda _: goes_on.wait(20)))
        for lane in (provider._connection, provider._agents, provider._endings)
        for _ in range(9)
    ]
    try:
        await asyncio.sleep(0.1)  # they have taken every thread
        async with asyncio.timeout(5):
            assert await provider.list() == []
    finally:
        goes_on.set()
    assert all(await asyncio.gather(*hanging)), "those that found no thread waited for one"


async def test_files_without_a_machine_are_swept_and_no_other(provider):
    await provider.create(ORDER)
    for name in ("visa-test-gone.qcow2", "visa-test-gone.console.1", "notes.qcow2"):
        Path(provider.folder, name).write_text("x")
    await provider.sweep(set())
    assert left(provider) == ["notes.qcow2", "visa-test-one.console", "visa-test-one.qcow2"]


async def test_no_machine_is_made_on_a_full_disk(provider):
    provider.free_disk = 1 << 60
    with pytest.raises(Refused) as refused:
        await provider.create(ORDER)
    assert refused.value.reason == "room" and "disk is full" in refused.value.words
    await provider.delete(ORDER.name)
    provider.free_disk, provider.folder = 0, "/proc/nowhere"
    with pytest.raises(Refused):
        await provider.create(ORDER)
    with pytest.raises(TraitError):
        provider.gpus = {"0000:AF:00.0": "a100"}


async def test_each_has_an_address_of_its_own_and_there_are_no_more_than_there_are(provider):
    del provider._addresses[2:]
    orders = [replace(ORDER, name=f"visa-test-{number}") for number in range(2)]
    await asyncio.gather(*(provider.create(order) for order in orders))
    assert len({machine.address for machine in await provider.list()}) == 2
    with pytest.raises(Refused) as refused:
        await provider.create(replace(ORDER, name="visa-test-6"))
    assert refused.value.reason == "room"


async def test_what_carries_no_tag_of_ours_is_never_touched(provider):
    """Neither by the list nor by a name that is the same."""
    await provider.create(ORDER)
    other = LibvirtProvider("another-hub", config=provider.config)
    assert await other.list() == []
    for what in (other.delete, other.shut_down, lambda name: other.tag(name, {})):
        with pytest.raises(Refused) as refused:
            await what(ORDER.name)
        assert refused.value.reason == "gone"
    assert (await provider.list())[0].stands is Stands.RUNNING and len(left(provider)) == 2
    plain = "<domain type='qemu'><name>visa-test-plain</name><memory unit='MiB'>32</memory>"
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(f"{plain}<os><type>hvm</type></os></domain>")
        file.flush()
        virsh("define", file.name)
    try:
        assert [machine.name for machine in await provider.list()] == [ORDER.name]
        with pytest.raises(Refused):
            await provider.delete("visa-test-plain")
        assert "visa-test-plain" in virsh("list", "--all", "--name")
    finally:
        virsh("undefine", "visa-test-plain")


async def test_a_disk_that_is_missing_or_none_is_said_and_leaves_nothing(provider):
    path = Path(provider.image_template.format(recipe="empty"))
    path.write_bytes(b"this is no disk")
    with pytest.raises(Refused) as refused:
        await provider.create(ORDER)
    assert refused.value.reason == "image" and "disk" in refused.value.words
    await provider.delete(ORDER.name)
    path.unlink()
    with pytest.raises(Refused) as refused:
        await provider.create(replace(ORDER, name="visa-test-two"))
    assert refused.value.reason == "image"
    await provider.delete("visa-test-two")
    assert await provider.list() == [] and left(provider) == []


class Killed(Exception):
    """The hub's process ends here."""


def killed(*_):
    raise Killed


async def is_gone(provider):
    """Found by its tag as one that has ended, and removed with all that it had."""
    (found,) = await provider.list()
    assert found.stands is Stands.ENDED and found.tags["session"] == "alice/tooth"
    await provider.delete(found.name)
    assert await provider.list() == [] and left(provider) == []
    assert found.address not in line.addresses()


@pytest.mark.parametrize("step", ["disk", "line", "start"])
async def test_a_hub_killed_while_it_makes_one_leaves_what_its_tag_tells(provider, monkeypatch, step):
    """Defined, with neither disk nor line, without a line, or not started."""
    real, calls = provider._connection.call, []

    async def call(ask, *more):
        calls.append(ask)
        return killed() if len(calls) == 2 else await real(ask, *more)

    where = {"disk": (provider, "_make_disk", killed), "line": (line, "connect", killed)}
    with monkeypatch.context() as patched:
        patched.setattr(*where.get(step, (provider._connection, "call", call)))
        with pytest.raises(Killed):
            await provider.create(ORDER)
    await is_gone(provider)


@pytest.mark.parametrize("step", ["share", "line", "files"])
async def test_a_hub_killed_while_it_removes_one_removes_the_rest_later(provider, monkeypatch, step):
    """Ended, with all of it still there, without its share, or without its line as well."""
    await provider.create(ORDER)
    where = {"share": (share, "close_share"), "line": (line, "disconnect"), "files": (files, "remove")}
    with monkeypatch.context() as patched:
        patched.setattr(*where[step], killed)
        with pytest.raises(Killed):
            await provider.delete(ORDER.name)
    await is_gone(provider)


@pytest.mark.parametrize("how", ["from inside", "its process"])
async def test_one_that_starts_anew_or_whose_process_dies_has_ended(provider, how):
    """What was in its memory is gone: another boot is another session."""
    await provider.create(ORDER)
    if how == "from inside":
        virsh("reset", ORDER.name)
    else:
        os.kill(int(Path(f"/run/libvirt/qemu/{ORDER.name}.pid").read_text()), signal.SIGKILL)
    end = time.monotonic() + 30
    while (found := (await provider.list())[0]).stands is not Stands.ENDED:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.1)  # libvirt hears of it from QEMU
    assert found.why == ("shut down" if how == "from inside" else "crashed")


async def test_libvirtd_may_stop_and_start_again(provider, libvirt_here):
    folder, processes = to_be_stopped(libvirt_here)
    await provider.create(ORDER)
    await provider.tag(ORDER.name, ORDER.tags)
    kept = [processes.pop()]
    daemon.stop(kept)
    with pytest.raises(Silent):
        await provider.list()
    daemon.start(folder, processes)
    (found,) = await provider.list()
    assert found.stands is Stands.RUNNING and found.tags["session"] == "alice/tooth"
    await provider.tag(found.name, {"session": "bob/late"})  # by a connection that was open before
