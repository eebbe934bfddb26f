"""Real machines of a real libvirt, which boot nothing: their memory is put on disk, and they go on."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from libvirt_machines import ORDER, left, to_be_stopped, virsh

from demo import libvirt as daemon
from visa_spawner.backends.vm.libvirt import files, line, share
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.backends.vm.provider import BY_HOST, UNSERVED, Refused, Silent, Stands
from visa_spawner.session import Person

#: What the kernel calls the machine's line for as long as it is there.
INDEX = Path("/sys/class/net/visa0ad80002/ifindex")


@pytest.fixture
async def running(provider):
    """A machine, and what serves its data."""
    await provider.create(ORDER)
    person = Person("alice", 20001, 20001, (), "/home/alice")
    await share.open_share(
        person, (), hub_id="vm-test", machine=ORDER.name, host="10.216.0.1", device="visa0ad80002"
    )
    yield provider
    share.close_share("vm-test", ORDER.name)


async def stands(provider):
    (found,) = await provider.list()
    return found.stands, found.why


async def test_its_memory_is_kept_and_its_line_and_data_wait_for_it(running, monkeypatch):
    provider, index = running, INDEX.read_text()
    monkeypatch.setattr("visa_spawner.backends.vm.libvirt.suspending.CLOCK", 1)  # nothing in it hears
    await provider.suspend(ORDER.name)
    assert await stands(provider) == (Stands.SAVED, "")
    memory = files.memory(Path(provider.folder), ORDER.name)
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600, "all that its session knows is in there"
    assert INDEX.read_text() == index, "who serves its data holds on to that very line"
    # Another hub process finds it so, and a sweep leaves all of it.
    again = LibvirtProvider("vm-test", config=provider.config)
    assert await stands(again) == (Stands.SAVED, "")
    await again.sweep({ORDER.name})
    assert memory.exists() and INDEX.exists() and list(share.serving("vm-test"))
    await again.resume(ORDER.name)
    again.close()
    assert await stands(provider) == (Stands.RUNNING, "")
    assert not list(Path(provider.folder).glob("*.memory*")), "it cannot be read twice"
    assert INDEX.read_text() == index
    await provider.delete(ORDER.name)
    assert left(provider) == [] and not INDEX.exists()


async def test_libvirt_that_starts_anew_has_not_lost_it(running, libvirt_here):
    provider, (folder, processes) = running, to_be_stopped(libvirt_here)
    await provider.suspend(ORDER.name)
    daemon.stop([processes.pop()])
    with pytest.raises(Silent):
        await provider.list()
    daemon.start(folder, processes)
    assert await stands(provider) == (Stands.SAVED, "")
    await provider.delete(ORDER.name)
    assert left(provider) == []


async def test_memory_that_is_cut_off_is_refused_and_boots_nothing(running):
    provider = running
    await provider.suspend(ORDER.name)
    memory = files.memory(Path(provider.folder), ORDER.name)
    whole = memory.read_bytes()
    memory.write_bytes(b"LibvirtQemudPart" + whole[16:])  # as a host leaves it that falls meanwhile
    with pytest.raises(Refused):
        await provider.resume(ORDER.name)
    assert await stands(provider) == (Stands.SAVED, "")
    memory.write_bytes(whole)
    # A hub that is killed as it begins to read it back: the next one does.
    memory.rename(files.memory_in_use(Path(provider.folder), ORDER.name))
    assert await stands(provider) == (Stands.SAVED, "")


async def test_memory_of_one_that_runs_is_nobodys_any_more(running):
    """As a hub leaves it that is killed while it is read back, once the machine runs."""
    provider = running
    stale = files.memory_in_use(Path(provider.folder), ORDER.name)
    stale.write_bytes(b"x")
    await provider.list()
    assert stale.exists(), "it may be newer than what the list says"
    os.utime(stale, (1, 1))
    await provider.list()
    assert not stale.exists()


async def test_what_was_put_away_by_the_host_is_not_its_owners_to_have_go_on(running):
    provider = running
    virsh("managedsave", ORDER.name)
    assert await stands(provider) == (Stands.SAVED, BY_HOST)
    with pytest.raises(Refused):
        await provider.resume(ORDER.name)
    virsh("start", ORDER.name)
    assert await stands(provider) == (Stands.RUNNING, "")


async def test_without_its_data_it_does_not_go_on(running):
    provider = running
    await provider.suspend(ORDER.name)
    share.close_share("vm-test", ORDER.name)
    for _ in range(100):
        if list(share.serving("vm-test")):
            await asyncio.sleep(0.02)  # a killed process is there until the kernel is done with it
    assert await stands(provider) == (Stands.SAVED, UNSERVED)
    with pytest.raises(Refused, match="nothing serves") as refused:
        await provider.resume(ORDER.name)
    assert "let go" in refused.value.words


async def test_no_room_on_the_disk_is_said_and_it_runs_on(running):
    provider = running
    provider.free_disk = 1 << 60
    with pytest.raises(Refused) as refused:
        await provider.suspend(ORDER.name)
    assert "no room to keep" in refused.value.words and refused.value.reason == "room"
    assert await stands(provider) == (Stands.RUNNING, "")


async def test_lines_without_a_machine_are_swept_and_no_other(running):
    provider = running
    line.connect("10.216.0.1", "10.216.0.5")
    line.connect("10.216.1.1", "10.216.1.5")  # of another hub's network
    try:
        await provider.sweep({ORDER.name})
        assert INDEX.exists() and {"10.216.1.5", "10.216.0.2"} <= line.addresses()
        assert "10.216.0.5" not in line.addresses()
    finally:
        line.disconnect("10.216.1.5")
