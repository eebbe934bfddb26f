"""A hub that ends in the midst of it, and machines that wait: nobody's is two's, and nothing is left."""

import asyncio
import time

import pytest
from guests import said
from openstack_hub import PAIR, killed, starting, until

from visa_spawner.backends.vm import spawner
from visa_spawner.session import State


async def booted(hub):
    """The pool's one machine, its guest up: name, and where it leaves what it is handed."""
    hub.machines.pool.tell([PAIR])
    server = await hub.up(lambda: next(iter(hub.cloud.names()), ""))
    folder = hub.guests.boot(server)
    await until(hub.waiting)
    return server["name"], folder


def no_more(hub):
    """Have no other made to wait."""
    hub.machines.pool._paused[PAIR.key] = time.monotonic() + 600


@pytest.mark.parametrize("step", ["create", "give", "after"])
async def test_a_hub_that_is_killed_at_a_step_leaves_nothing(hub, cloud, step, monkeypatch):
    """While nova makes it; before the claim counts as used; when it does, and nothing was given."""
    there, held = asyncio.Event(), asyncio.Event()
    provider, backend, kept, folder = hub.provider, hub.backend(), [], None
    backend.remember = lambda: kept.append(backend.get_state())

    real = provider.mark

    async def follow(name, server):
        there.set()
        await held.wait()

    async def mark(name, state):
        if state == "used":
            if step == "after":
                await real(name, state)
            there.set()
            await held.wait()
        await real(name, state)

    if step == "create":
        monkeypatch.setattr(provider, "_follow", follow)
    else:
        monkeypatch.setattr(provider, "mark", mark)
    async with starting(backend) as start:
        if step != "create":
            folder = hub.guests.boot(await hub.boots(backend))
        await asyncio.wait_for(there.wait(), 90)
        await killed(hub, backend, start)
    monkeypatch.undo()
    monkeypatch.setattr(spawner, "HALF", 2.0)
    await hub.restart()
    again = hub.backend(state=kept[-1])
    if step == "create":
        folder = hub.guests.boot(await hub.boots(again))
    if step == "after":
        # Nobody can use the claim any more: the machine is told so, and switches itself off.
        await until(lambda: said(folder))
        assert "refused" in said(folder)["answer"]
        cloud.act(cloud.server(again.machine_name)["id"], os_stop=None)
    async with asyncio.timeout(90):
        status = await again.ended()
    assert status.state is State.FAILED and "restarted" in status.words
    await until(lambda: not cloud.names())
    assert said(folder, "session") is None, "nobody was handed anything"


async def test_a_session_takes_a_machine_that_waits(hub, cloud):
    name, folder = await booted(hub)
    backend = hub.backend()
    async with asyncio.timeout(60):
        await backend.start()
    assert backend.machine_name == name and said(folder, "session")["uid"] == 20001
    assert cloud.server(name)["metadata"]["visa:session"] == "alice/tooth"


async def test_what_waits_survives_a_restart_and_is_found_by_its_claim_again(hub, cloud):
    name, folder = await booted(hub)
    await hub.restart()
    hub.machines.pool.tell([PAIR])
    await until(hub.waiting)
    assert cloud.names() == {name}
    await hub.backend().start()
    assert said(folder, "session")


async def test_of_two_sessions_one_gets_the_last_that_waits(hub, cloud):
    name, folder = await booted(hub)
    no_more(hub)
    first, second = hub.backend("first"), hub.backend("second")
    async with starting(first) as one, starting(second) as two:
        await until(lambda: first.machine_name and second.machine_name)
        (late,) = (backend for backend in (first, second) if backend.machine_name != name)
        hub.guests.boot(await hub.boots(late))
        await asyncio.gather(one, two)
    assert {first.machine_name, second.machine_name} == cloud.names() and len(cloud.names()) == 2
    assert said(folder, "session"), "each was handed over once"


async def test_what_waits_gives_way_where_novas_quota_is_used_up(hub, cloud):
    name, _ = await booted(hub)
    no_more(hub)
    backend = hub.backend(labels={"visa.profile": "other", "visa.plan": "machine"})
    cloud.quota(instances=1)
    try:
        async with starting(backend) as start:
            hub.guests.boot(await hub.boots(backend))
            await start
    finally:
        cloud.quota(instances=10)
    assert cloud.names() == {backend.machine_name} and backend.machine_name != name


async def test_one_that_dies_while_it_waits_is_not_given_to_anybody(hub, cloud):
    name, folder = await booted(hub)
    hub.guests.kill(folder)
    no_more(hub)
    backend = hub.backend()
    async with starting(backend) as start:
        # It is found out when it is to be handed over, and another is made.
        await until(lambda: backend.machine_name not in ("", name))
        hub.guests.boot(await hub.boots(backend))
        await start
    assert name not in cloud.names()
