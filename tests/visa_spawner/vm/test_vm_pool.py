"""Machines that wait, and starts that take one: never twice, bounded, found again, nothing left behind."""

import asyncio
import time
from dataclasses import replace

import memory_provider
import pytest
from memory_provider import IMAGE, World
from traitlets.config import Config

from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.backends.refusals import StopDelayed
from visa_spawner.backends.vm import VMSpawner
from visa_spawner.backends.vm.machines import Machines
from visa_spawner.backends.vm.provider import UNSERVED, Machine, Stands
from visa_spawner.session import Person, Resources, SessionPlan, StartRefused, State, WarmPair

CONFIG = {
    "hub_id": "test",
    "provider": "memory_provider.MemoryProvider",
    "watch_interval": 0.2,
    "boot_timeout": 2,
    "stop_grace": 1,
}
RESOURCES = Resources(2, 2 << 30)
PAIR = WarmPair("general", "machine", "base", RESOURCES, size=1)


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(memory_provider, "world", made)
    return made


@pytest.fixture
async def hub(world):
    """Hub processes one after the other: `restart` leaves machines as they are, and knows nothing."""
    config = Config({"VMSpawner": CONFIG})

    class Hub:
        machines = Machines.of(config)

        def backend(self, name="work", state=None):
            backend = VMSpawner(config=config)
            backend.session = plan(name)
            if state is not None:
                backend.load_state(state)
            return backend

        async def restart(self):
            await self.machines.close()
            self.machines = Machines.of(config)
            await self.machines.watch.asked_once()

        def waiting(self):
            return [name for name in self.machines.pool.ready if name in world.machines]

    made = Hub()
    await made.machines.watch.asked_once()
    yield made
    await made.machines.close()


def plan(name):
    info = SessionInfo("alice", name)
    environment = {INFO_VARIABLE: info.to_json(), "JUPYTERHUB_SERVICE_PREFIX": "/", "HOME": "/home/alice"}
    labels = {"visa.profile": "general", "visa.plan": "machine"}
    person = Person("alice", 20001, 20001, (30001,), "/home/alice")
    return SessionPlan(info.key, person, "base", RESOURCES, (), {}, environment, labels)


async def until(true, seconds=5.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not within the time"
        await asyncio.sleep(0.02)  # the watch looks five times a second


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


async def test_the_pool_fills_and_a_start_takes_from_it(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    (waits,) = hub.waiting()
    assert world.machines[waits].tags["session"] == "", "it is nobody's"
    backend = hub.backend()
    await backend.start()
    assert backend.machine_name == waits and list(world.handed) == [waits]
    assert world.machines[waits].tags["session"] == "alice/work"
    hub.machines.pool._taken_at = 0
    await until(lambda: len(world.machines) == 2 and hub.waiting())
    assert hub.waiting() != [waits], "another waits then"


async def test_two_starts_never_get_the_same_one(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    one, two = hub.backend("one"), hub.backend("two")
    await asyncio.gather(one.start(), two.start())
    assert one.machine_name != two.machine_name and len(world.handed) == 2


async def test_what_waits_is_found_again_and_not_made_anew(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    known = set(world.machines)
    await hub.restart()
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    assert set(world.machines) == known and not world.deleted


async def test_a_changed_image_replaces_what_waits(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    (old,) = hub.waiting()
    world.image = replace(IMAGE, digest=f"sha256:{'2' * 64}")
    hub.machines.pool._images_as_of = -100
    await until(lambda: old not in world.machines and hub.waiting())


async def test_age_replaces_what_waits_and_nothing_waits_that_nobody_wants(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    (old,) = hub.waiting()
    found = world.machines[old]
    world.machines[old] = replace(found, tags=found.tags | {"made": "1000"})
    await until(lambda: old not in world.machines and hub.waiting())
    hub.machines.pool.tell([])
    await until(lambda: not world.machines)


async def test_the_pool_gives_way_and_takes_no_more_than_there_is(hub, world):
    hub.machines.pool.tell([replace(PAIR, size=9)])
    await until(lambda: len(hub.waiting()) == 4)  # 8 cores, 2 each
    await asyncio.sleep(0.5)  # a fifth would come at the next look
    assert len(world.machines) == 4
    assert hub.machines.availability(Resources(3, 1 << 30)).sessions == 2, "what waits is no session's"
    hub.machines.pool.pairs.clear()
    hub.machines.pool._told = False
    backend = hub.backend()
    backend.session = replace(backend.session, resources=Resources(3, 1 << 30), labels={})
    await backend.start()
    assert len(world.machines) == 3, "two went for it"


async def test_one_that_fails_at_the_hand_over_is_never_used_again(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    (bad,) = hub.waiting()
    world.fails = "hand_over"
    backend = hub.backend()
    with pytest.raises(StartRefused):
        await backend.start()
    assert bad in world.deleted and len(world.handed) == 2, "another was tried, once"
    assert not [one for one in world.machines.values() if one.tags["session"]]


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
    await until(lambda: not [one for one in world.machines.values() if one.tags["session"]])
    assert not world.handed
    if step == "tag":
        assert len(world.machines) == 1, "it is still nobody's, and waits on"


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
    assert await backend.poll() is None
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
    world.machines[name] = replace(world.machines[name], stands=Stands.SAVED, why="")
    await until(lambda: "put away by its host" in backend.status.words)
    assert backend.status.state is State.UNKNOWN and await backend.poll() is None
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
    assert await hub.machines.sweep(lambda: {"alice/work", "bob/late"}) == ["old"]
    assert set(world.machines) == {"loading", backend.machine_name}
