"""What sessions take of their nodes, what nodes hold, nodes that take nothing new; on real engines."""

import asyncio

import pytest
from container_support import MB, node, plan, settings

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.session import Resources, StartRefused

BUSY = ("sh", "-c", "while :; do :; done")
#: 60 MB of memory, held by a process that waits.
FULL = ("sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=60; sleep 300")


async def usage_once(backend, wanted, seconds=20):
    async with asyncio.timeout(seconds):
        while True:
            found = await backend.usage()
            if found is not None and wanted(found):
                return found
            await asyncio.sleep(0.2)


async def test_cores_and_memory_in_use_are_told(engine, make_backend):
    config = settings([node(engine)])
    busy, full = (
        make_backend(config, plan("alice/a", BUSY, cpus=0.5)),
        make_backend(config, plan("bob/b", FULL)),
    )
    assert await busy.usage() is None
    await asyncio.gather(busy.start(), full.start())
    found = await usage_once(busy, lambda usage: usage.cpus > 0.2)
    # Half a core is all that the plan gives; the engine counts in steps.
    assert found.cpus < 0.9 and found.memory_limit == 200 * MB
    found = await usage_once(full, lambda usage: usage.memory > 50 * MB and usage.cpus < 0.1)
    assert found.memory < 200 * MB
    await full.stop(now=True)
    assert await full.usage() is None


async def test_who_asks_at_once_shares_one_question(engine, make_backend):
    config = settings([node(engine)])
    backend = make_backend(config, plan())
    await backend.start()
    asked = []
    ask = backend.docker
    backend.docker = lambda method, *args, **options: asked.append(method) or ask(method, *args, **options)
    found = await asyncio.gather(*(backend.usage() for _ in range(20)))
    assert found[0] is not None and found == [found[0]] * 20
    assert asked == ["stats", "stats"]
    # And a session that a restarted hub found again is measured like any other.
    state = backend.get_state()
    await backend.fleet.close()
    assert (await make_backend(config, state=state).usage()).memory_limit == 200 * MB


async def test_nodes_say_what_they_hold_and_what_is_free(engine, make_backend):
    config = settings(
        [node(engine, cpus=4), node(engine, name="away") | {"engine": "unix:///nowhere/x.sock"}]
    )
    backend = make_backend(config, plan(cpus=1))
    await backend.start()
    here, away = await ContainerBackend.nodes(config)
    assert (here.name, here.answers, here.sessions) == (engine.kind, True, ("alice/first",))
    assert (here.cpus, here.free_cpus, here.free_memory) == (4, 3, here.memory - 200 * MB)
    assert (away.name, away.answers, away.sessions) == ("away", False, ())
    await backend.fleet.close()
    here, _ = await ContainerBackend.nodes(config)
    assert here.sessions == ("alice/first",)
    await ContainerBackend.sweep(set, config)


async def test_a_closed_node_keeps_its_sessions_and_takes_no_new_ones(engine, make_backend):
    config, closed = settings([node(engine)]), {}
    ContainerBackend.drain_by(closed.get, config)
    first = make_backend(config, plan("alice/a"))
    await first.start()
    closed[engine.kind] = "Back at noon."
    room = await ContainerBackend.availability(Resources(1, MB), config)
    assert room.sessions == 0 and room.words.endswith("maintenance. Back at noon.")
    with pytest.raises(StartRefused) as caught:
        await make_backend(config, plan("bob/b")).start()
    assert (caught.value.status, caught.value.field) == (503, "plan")
    assert "Back at noon." in caught.value.words
    assert await first.poll() is None
    closed.clear()
    second = make_backend(config, plan("bob/b"))
    await second.start()
    await asyncio.gather(first.stop(now=True), second.stop(now=True))
