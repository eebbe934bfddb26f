"""Sessions that stand still as their owners wish: the books, no room, what fails, a hub that is killed."""

import asyncio
from dataclasses import replace

import pytest
from vm_hub import PAIR, running, until

from visa_spawner.backends.vm.provider import SAVING, UNSERVED, Stands
from visa_spawner.session import StartRefused, State


async def test_it_stands_still_and_others_have_its_room(hub, world):
    backend = await running(hub)
    await backend.suspend()
    assert backend.status.state is State.SUSPENDED and backend.status.held
    assert not hub.machines.placement.taken and await backend.poll() is None
    assert (backend.may_suspend, backend.may_resume) == (False, True)
    with pytest.raises(StartRefused):
        await backend.suspend()
    others = [await running(hub, f"other{number}") for number in range(4)]  # all of the host's eight cores
    with pytest.raises(StartRefused, match="no room for it to go on") as refused:
        await backend.resume()
    assert refused.value.status == 503 and backend.may_resume
    await others[0].stop()
    await backend.resume()
    assert backend.status.state is State.RUNNING
    assert hub.machines.placement.taken[backend.machine_name].memory == 2 << 30
    with pytest.raises(StartRefused):
        await backend.resume()


async def test_each_step_of_it_is_told_as_it_happens(hub, world):
    """The proxy leads to it only while it runs: not from the moment at which it begins to stand still."""
    backend, held = await running(hub), []
    backend.looked = lambda: held.append(backend.status.held)
    world.holds["suspend"] = asyncio.Event()
    moving = asyncio.create_task(backend.suspend())
    await until(lambda: True in held)
    assert world.machines[backend.machine_name].stands is Stands.RUNNING, "before it does"
    world.holds["suspend"].set()
    await moving
    held.clear()
    await backend.resume()
    assert held[-1] is False and True in held
    # By its host's staff it is the next look that tells.
    name = backend.machine_name
    world.machines[name] = replace(world.machines[name], stands=Stands.PAUSED)
    await until(lambda: held[-1] is True)


async def test_what_waits_gives_way_for_it(hub, world):
    backend = await running(hub)
    await backend.suspend()
    pool = hub.machines.pool
    pool.tell([replace(PAIR, size=4)])
    pool._taken_at = -100  # or it would rest first
    await until(lambda: len(hub.waiting()) == 4)
    pool._told = False
    await backend.resume()
    assert backend.status.state is State.RUNNING and len(world.machines) == 4


@pytest.mark.parametrize("step", ["suspend", "resume"])
async def test_a_hub_that_is_killed_meanwhile_finds_it_as_it_is(hub, world, step):
    backend = await running(hub)
    if step == "resume":
        await backend.suspend()
    world.holds[step], kept = asyncio.Event(), backend.get_state()
    moving = asyncio.create_task(getattr(backend, step)())
    await until(lambda: "It is being" in backend.status.words)
    assert not backend.may_suspend and not backend.may_resume, "one at a time"
    await hub.machines.close()
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    del world.holds[step]
    await hub.restart()
    again = hub.backend(state=kept)
    again.reported_port = 8888
    assert await again.poll() is None
    stands = State.RUNNING if step == "suspend" else State.SUSPENDED
    await until(lambda: again.status.state is stands)
    assert (again.may_suspend, again.may_resume) == (step == "suspend", step == "resume")
    assert bool(hub.machines.placement.taken) is (step == "suspend")
    assert len(world.machines) == 1 and not world.deleted


async def test_what_fails_leaves_it_as_it_was(hub, world):
    backend = await running(hub)
    world.fails = "suspend"
    with pytest.raises(StartRefused, match="disk is full"):
        await backend.suspend()
    assert backend.status.state is State.RUNNING and hub.machines.placement.taken and backend.may_suspend
    world.fails = ""
    await backend.suspend()
    world.fails = "resume"
    with pytest.raises(StartRefused, match="disk is full"):
        await backend.resume()
    assert backend.may_resume and not hub.machines.placement.taken and not hub.machines.returning
    world.fails, world.silent = "", True
    with pytest.raises(StartRefused, match="does not answer"):
        await backend.resume()
    assert hub.machines.placement.taken, "it may be going on all the same"
    world.silent = False
    await until(lambda: backend.status.state is State.SUSPENDED and backend.may_resume)
    await backend.resume()
    assert backend.status.state is State.RUNNING


async def test_whoever_stops_waiting_for_it_changes_nothing(hub, world):
    backend = await running(hub)
    world.holds["suspend"] = asyncio.Event()
    moving = asyncio.create_task(backend.suspend())
    await until(lambda: "It is being" in backend.status.words)
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    world.holds["suspend"].set()
    await until(lambda: backend.may_resume)


async def test_it_is_stopped_while_it_stands_still(hub, world):
    backend = await running(hub)
    await backend.suspend()
    async with asyncio.timeout(hub.machines.stop_grace):  # what stands still is not asked
        await backend.stop()
    assert not world.machines and not hub.machines.claims


async def test_one_whose_data_are_gone_says_so(hub, world):
    backend = await running(hub)
    await backend.suspend()
    name = backend.machine_name
    world.machines[name] = replace(world.machines[name], why=UNSERVED)
    await until(lambda: "cannot go on" in backend.status.words)
    assert backend.status.state is State.SUSPENDED and not backend.may_resume


async def test_not_with_a_gpu_nor_on_the_way(hub, world):
    backend = await running(hub)
    name = backend.machine_name
    was = world.machines[name]
    world.machines[name] = replace(was, tags=was.tags | {"gpus": "0000:65:00.0"})
    await until(lambda: not backend.may_suspend)
    world.machines[name] = replace(was, stands=Stands.PAUSED, why=SAVING)  # begun by a hub that was killed
    await until(lambda: backend.status.state is State.SUSPENDED)
    assert not backend.may_resume and not backend.may_suspend


async def test_one_whose_room_is_kept_for_it_needs_none_to_go_on(hub, world):
    world.keeps_room = True
    backend = await running(hub)
    await backend.suspend()
    assert backend.status.state is State.SUSPENDED and "kept for it" in backend.status.words
    kept = backend.get_state()
    await hub.restart()
    again = hub.backend(state=kept)
    again.reported_port = 8888
    await until(lambda: again.may_resume)
    for number in range(3):
        await running(hub, f"other{number}")
    with pytest.raises(StartRefused):
        await hub.backend("fourth").start()  # of the host's eight cores two are kept
    await again.resume()
    assert again.status.state is State.RUNNING
    assert len(hub.machines.placement.taken) == 4 and not hub.machines.returning
