"""Machines that wait, and starts that take one: never twice, bounded, found again, nothing left behind."""

import asyncio
import time
from dataclasses import replace

import pytest
from memory_provider import IMAGE
from vm_hub import CONFIG, PAIR, until

from visa_spawner.session import Resources, StartRefused


async def test_the_pool_fills_and_a_start_takes_from_it(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    (waits,) = hub.waiting()
    assert world.machines[waits].tags["session"] == "", "it is nobody's"
    backend = hub.backend()
    await backend.start()
    assert backend.machine_name == waits and list(world.handed) == [waits]
    assert world.machines[waits].tags["session"] == "alice/tooth"
    hub.machines.pool._taken_at = 0
    await until(lambda: len(world.machines) == 2 and hub.waiting())
    assert hub.waiting() != [waits], "another waits then"


async def test_two_starts_never_get_the_same_one(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    one, two = hub.backend("one"), hub.backend("two")
    await asyncio.gather(one.start(), two.start())
    assert one.machine_name != two.machine_name and len(world.handed) == 2


async def test_none_is_made_while_somebody_starts(hub, world):
    world.holds["hand_over"] = asyncio.Event()
    start = asyncio.create_task(hub.backend().start())
    await until(lambda: world.up)
    hub.machines.pool.tell([PAIR])
    hub.machines.pool._taken_at = 0
    await asyncio.sleep(0.6)  # three looks
    assert len(world.machines) == 1
    world.holds["hand_over"].set()
    await start
    hub.machines.pool._taken_at = 0
    await until(hub.waiting)


async def test_what_waits_is_found_again_and_not_made_anew(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    known = set(world.machines)
    for name, found in world.machines.items():  # up for longer than a boot may take
        made = str(int(time.time()) - CONFIG["boot_timeout"] - 1)
        world.machines[name] = replace(found, tags=found.tags | {"made": made})
    world.up.clear()
    await hub.restart()
    world.asked = 0
    hub.machines.pool.tell([PAIR])
    await until(lambda: world.asked > 1)
    world.up |= known
    await until(hub.waiting)
    assert set(world.machines) == known and not world.deleted


async def test_one_that_does_not_come_up_is_made_anew_and_silence_is_not_that(hub, world):
    hub.machines.boot_timeout = 1
    world.fails = "waits"
    hub.machines.pool.tell([PAIR])
    await until(lambda: world.machines)
    (name,) = world.machines
    await asyncio.sleep(1.5)  # what is looked at is that this time changes nothing
    assert set(world.machines) == {name}
    world.fails, world.boots = "", False
    world.up.clear()
    await until(lambda: name not in world.machines)


async def test_one_is_taken_once_and_from_no_host_that_is_closed(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    hub.machines.placement.closed = lambda host: "It is closed."
    assert hub.machines.pool.take(PAIR.key, IMAGE) is None
    with pytest.raises(StartRefused):
        await hub.backend().start()
    assert not world.handed
    hub.machines.placement.closed = lambda host: None
    await until(hub.waiting)
    assert hub.machines.pool.take(PAIR.key, IMAGE)
    assert hub.machines.pool.take(PAIR.key, IMAGE) is None


async def test_what_waits_on_a_host_that_is_closed_goes(hub, world):
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    hub.machines.placement.closed = lambda host: "It is closed."
    await until(lambda: not world.machines)


async def test_nothing_that_waits_goes_for_a_session_that_has_no_room_all_the_same(hub, world):
    large = hub.backend("large")
    large.session = replace(large.session, resources=Resources(5.5, 1 << 30), labels={})
    await large.start()
    hub.machines.pool.tell([PAIR])
    hub.machines.pool._taken_at = 0
    await until(hub.waiting)
    taken = hub.machines.placement.taken[large.machine_name]
    assert taken.cpus == 6, "a machine has whole cores, also in the books"
    second = hub.backend("second")
    second.session = replace(second.session, resources=Resources(4, 1 << 30), labels={})
    with pytest.raises(StartRefused):
        await second.start()
    assert not world.deleted and hub.waiting()


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


async def test_what_waits_gives_way_where_the_providers_own_books_are_full(hub, world):
    hub.machines.pool.tell([replace(PAIR, size=2)])
    await until(lambda: len(hub.waiting()) == 2)
    hub.machines.pool._told = False
    world.quota = 2
    backend = hub.backend()
    backend.session = replace(backend.session, labels={})  # of another plan
    await backend.start()
    assert len(world.machines) == 2 and len(hub.waiting()) == 1, "one went, and one was enough"
    assert backend.machine_name in world.handed


async def test_no_more_goes_than_a_session_takes_where_the_provider_refuses_all_the_same(hub, world):
    hub.machines.pool.tell([replace(PAIR, size=3)])
    await until(lambda: len(hub.waiting()) == 3)
    hub.machines.pool._told = False
    world.refuses = True
    backend = hub.backend()
    backend.session = replace(backend.session, labels={})
    with pytest.raises(StartRefused, match="No machine can be started") as refused:
        await backend.start()
    assert refused.value.field == "plan"
    assert len(world.machines) == len(hub.waiting()) == 2, "what one takes is what one session needs"
    assert not hub.machines.claims and not hub.machines.leftovers
