"""Sessions and their machines: from a start to an end, whatever fails in between."""

import asyncio
import time
from dataclasses import replace

import pytest
from vm_hub import CONFIG, PAIR, until

from visa_spawner.backends.refusals import StopDelayed
from visa_spawner.backends.vm.provider import BY_HOST, UNSERVED, Machine, Stands
from visa_spawner.session import StartRefused, State


async def test_a_start_makes_a_machine_and_a_stop_leaves_nothing(hub, world):
    backend = hub.backend()
    kept = []
    backend.remember = lambda: kept.append((backend.get_state(), dict(world.machines)))
    await backend.start()
    assert kept[0][0]["machine"] and not kept[0][1], "its name is kept before there is a machine"
    assert kept[0][0]["half"] and not kept[-1][0]["half"]
    (name,) = world.machines
    assert world.handed[name]["uid"] == 20001
    backend.reported_port = 8888
    assert await backend.address() == "http://10.0.0.9:8888"
    assert backend.status.state is State.RUNNING and await backend.poll() is None
    await backend.stop()
    assert not world.machines and not hub.machines.claims and not hub.machines.placement.taken
    assert await backend.poll() == 0


async def test_one_look_for_all(hub, world):
    for number in range(3):
        await hub.backend(f"s{number}").start()
    before, begun = world.listed, time.monotonic()
    await asyncio.sleep(1)  # what is looked at is how often it is asked meanwhile
    assert world.listed - before <= (time.monotonic() - begun) / CONFIG["watch_interval"] + 2


async def test_what_it_takes_is_told_while_it_runs(hub, world):
    backend = hub.backend()
    assert await backend.usage() is None, "there is no machine yet"
    await backend.start()
    await until(lambda: backend.status.state is State.RUNNING and hub.machines.watch.seen)
    world.used = iter([(10.0, 1), (10.5, 300 << 20)])
    found = await asyncio.gather(*(backend.usage() for _ in range(5)))
    assert found == [found[0]] * 5, "who asks at once shares one answer"
    assert (found[0].memory, found[0].memory_limit) == (300 << 20, 2 << 30)
    assert 0.5 < found[0].cpus <= 1.0, "half a second of a processor in half a second, or a little more"
    backend._meter = type(backend._meter)()
    world.silent = True
    assert await backend.usage() is None
    world.silent = False
    await backend.suspend()
    backend._meter = type(backend._meter)()
    world.used = iter([(11.0, 1), (11.5, 1)])
    assert await backend.usage() is None, "what stands still takes nothing"


async def test_silence_while_it_boots_throws_nothing_away(hub, world):
    world.fails = "waits"
    start = asyncio.create_task(hub.backend().start())
    await until(lambda: world.asked > 1)
    world.fails = ""
    await start
    assert not world.deleted and len(world.handed) == 1


async def test_a_long_boot_is_said_once(hub, world, monkeypatch):
    monkeypatch.setattr("visa_spawner.backends.vm.making.LONG", 0.2)
    monkeypatch.setattr("visa_spawner.backends.vm.making.LOOK", 0.1)
    world.boots = False
    backend = hub.backend()
    start = asyncio.create_task(backend.start())
    await until(lambda: backend.status and "Still booting" in backend.status.words)
    await asyncio.sleep(0.5)  # it is asked some times more
    world.up.update(world.machines)
    await start
    said = [step.words for step in backend._steps]
    assert sum("Still booting" in words for words in said) == 1, said
    short = hub.backend("short")
    world.boots = True
    await short.start()
    assert not any("Still booting" in step.words for step in short._steps)


async def test_a_half_session_asks_its_machine_seldom(hub, world):
    world.boots = False
    backend, kept = hub.backend(), []
    backend.remember = lambda: kept.append(backend.get_state())
    backend._undo = lambda: None  # what is killed takes nothing back
    start = asyncio.create_task(backend.start())
    await until(lambda: world.asked)
    await hub.machines.close()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await hub.restart()
    world.asked, before = 0, world.listed
    hub.backend(state=kept[-1])
    await until(lambda: world.listed > before + 5)
    assert world.asked == 1


@pytest.mark.parametrize("step", ["create", "tag", "hand_over"])
async def test_a_hub_that_is_killed_at_a_step_leaves_nothing_and_nobodys_machine_to_two(hub, world, step):
    if step == "tag":
        hub.machines.pool.tell([PAIR])
        await until(hub.waiting)
    world.holds[step] = asyncio.Event()
    backend, kept = hub.backend(), []
    backend.remember = lambda: kept.append(backend.get_state())
    backend._undo = lambda: None  # what is killed takes nothing back
    start = asyncio.create_task(backend.start())
    await until(lambda: kept)
    await asyncio.sleep(0.3)  # the step is under way
    await hub.machines.close()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    del world.holds[step]
    await hub.restart()
    world.up |= {kept[-1]["machine"]} & set(world.machines)  # it boots, whoever made it
    again = hub.backend(state=kept[-1])
    async with asyncio.timeout(5):
        status = await again.ended()
    assert status.state is State.FAILED and "restarted" in status.words
    await asyncio.wait([again._settling])  # with all that it removes
    await until(lambda: not [one for one in world.machines.values() if one.tags["session"]])
    assert not world.handed
    if step == "tag":
        assert len(world.machines) == 1, "it is still nobody's, and waits on"


@pytest.mark.parametrize("known", [True, False])
async def test_a_hub_that_is_killed_while_it_removes_a_machine_has_it_gone_later(hub, world, known):
    """By whoever stops the session again, or by the sweep where the hub no more knows of one."""
    backend = hub.backend()
    await backend.start()
    kept = backend.get_state()
    world.holds["delete"] = asyncio.Event()
    stop = asyncio.create_task(backend.stop(now=True))
    await asyncio.sleep(0.3)  # the step is under way
    await hub.machines.close()
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    del world.holds["delete"]
    assert set(world.machines) == {kept["machine"]}
    await hub.restart()
    if known:
        again = hub.backend(state=kept)
        assert await again.poll() is None, "it runs on until somebody ends it"
        await again.stop(now=True)
    else:
        assert await hub.machines.sweep(set) == [kept["machine"]]
    assert not world.machines and not hub.machines.claims and not hub.machines.placement.taken


async def test_a_session_that_was_handed_over_goes_on_after_a_restart(hub, world):
    backend, kept = hub.backend(), []
    backend.remember = lambda: kept.append(backend.get_state())
    await backend.start()
    await hub.restart()
    again = hub.backend(state=kept[0])  # the hub did not come to say that it was
    again.reported_port = 8888
    assert await again.poll() is None and again.status.state is State.RUNNING
    await until(lambda: again.get_state()["half"] is False)
    assert len(world.machines) == 1


async def test_silence_is_not_the_end(hub, world):
    backend = hub.backend()
    await backend.start()
    world.silent = True
    await until(lambda: backend.status.state is State.UNKNOWN)
    assert await backend.poll() is None and not backend.status.held
    with pytest.raises(StopDelayed):
        await backend.stop()
    assert backend.get_state(), "it is still found"
    world.silent = False
    await until(lambda: not world.machines)


@pytest.mark.parametrize(
    ("stands", "why", "words"),
    [
        (Stands.ENDED, "crashed", "The machine crashed."),
        (Stands.ENDED, "destroyed", "switched off"),
        (Stands.ENDED, "shut down", "from inside"),
        (Stands.ENDED, "", "host is switched off"),
        (None, "", "removed by somebody else"),
    ],
)
async def test_an_end_is_said_in_words_and_leaves_nothing(hub, world, stands, why, words):
    backend = hub.backend()
    await backend.start()
    (name,) = world.machines
    if stands is None:
        del world.machines[name]
    else:
        world.machines[name] = replace(world.machines[name], stands=stands, why=why)
    async with asyncio.timeout(5):
        status = await backend.ended()
    assert words in status.words and status.state is State.FAILED
    assert await backend.poll()
    await until(lambda: not world.machines)


async def test_what_the_session_said_last_is_told(hub, world):
    backend = hub.backend()
    await backend.start()
    (name,) = world.machines
    world.fails = "gpu"
    world.machines[name] = replace(world.machines[name], stands=Stands.ENDED, why="shut down")
    async with asyncio.timeout(5):
        assert "did not find the GPU" in (await backend.ended()).words
    assert (await backend.last_lines())[0] == "booting", "without what acts on a terminal"


async def test_a_paused_machine_is_neither_dead_nor_idle(hub, world):
    backend = hub.backend()
    await backend.start()
    (name,) = world.machines
    world.machines[name] = replace(world.machines[name], stands=Stands.PAUSED, why="full")
    await until(lambda: backend.status.state is State.UNKNOWN)
    assert "no room left on its disk" in backend.status.words and await backend.poll() is None
    assert backend.status.held, "its lifetime goes on"
    world.machines[name] = replace(world.machines[name], stands=Stands.SAVED, why=BY_HOST)
    await until(lambda: "put away by its host" in backend.status.words)
    assert backend.status.state is State.UNKNOWN and await backend.poll() is None
    assert not backend.may_resume, "it is staff's to have it go on"
    world.machines[name] = replace(world.machines[name], stands=Stands.RUNNING, why="")
    await until(lambda: backend.status.state is State.RUNNING)


async def test_a_machine_that_lost_its_data_says_so_and_is_not_ended(hub, world):
    backend = hub.backend()
    await backend.start()
    (name,) = world.machines
    world.machines[name] = replace(world.machines[name], why=UNSERVED)
    await until(lambda: "data cannot be reached" in backend.status.words)
    assert backend.status.state is State.RUNNING and await backend.poll() is None


async def test_a_boot_that_never_ends_is_given_up(hub, world):
    world.boots = False
    with pytest.raises(StartRefused, match="did not come up in time"):
        await hub.backend().start()
    assert not world.machines and not hub.machines.placement.taken


async def test_no_room_is_said_and_takes_none(hub, world):
    world.refuses = True
    with pytest.raises(StartRefused, match="No machine can be started now"):
        await hub.backend().start()
    assert not hub.machines.placement.taken and not hub.machines.claims


async def test_a_start_that_is_stopped_while_it_boots_leaves_nothing(hub, world):
    world.boots = False
    backend = hub.backend()
    start = asyncio.create_task(backend.start())
    await until(lambda: world.machines)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await backend.stop()
    await until(lambda: not world.machines)


async def test_the_sweep_takes_what_is_no_sessions_and_nothing_else(hub, world):
    tags = {"session": "alice/old", "host": "memory", "cpus": "1", "memory": "1", "gpus": ""}
    world.machines["old"] = Machine("old", Stands.RUNNING, tags)
    world.machines["loading"] = Machine("loading", Stands.RUNNING, tags | {"session": "bob/late"})
    backend = hub.backend()
    await backend.start()
    assert await hub.machines.sweep(lambda: {"alice/tooth", "bob/late"}) == ["old"]
    assert set(world.machines) == {"loading", backend.machine_name}
