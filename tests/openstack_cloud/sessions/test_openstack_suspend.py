"""Sessions that stand still by nova's own suspend, as their owners wish, and go on."""

import asyncio

import pytest
from openstack_hub import killed, running, until

from visa_spawner.session import StartRefused, State


async def may(hub, backend, what):
    backend.reported_port = 8888
    await until(lambda: getattr(backend, f"may_{what}"))
    return hub.cloud.server(backend.machine_name)["id"]


async def test_it_stands_still_in_its_room_and_goes_on_also_by_a_later_hub(hub, cloud):
    backend = await running(hub)
    await may(hub, backend, "suspend")
    await backend.suspend()
    assert cloud.server(backend.machine_name)["status"] == "SUSPENDED"
    assert backend.status.state is State.SUSPENDED and backend.status.held
    assert "kept for it" in backend.status.words and await backend.poll() is None
    assert set(hub.machines.placement.taken) == {backend.machine_name}, "nova's quota has it still"
    kept = backend.get_state()
    await hub.restart()
    again = hub.backend(state=kept)
    server = await may(hub, again, "resume")
    assert set(hub.machines.placement.taken) == {backend.machine_name}
    await again.resume()
    assert cloud.server(again.machine_name)["status"] == "ACTIVE"
    assert again.status.state is State.RUNNING and again.may_suspend and not again.may_resume
    cloud.act(server, suspend=None)
    await until(lambda: "paused on its host" in again.status.words)
    assert not again.may_resume, "what staff suspend is theirs to wake"
    await again.stop()
    assert not cloud.names() and not hub.machines.placement.taken


async def test_what_nova_refuses_leaves_it_as_it_was(hub, cloud):
    backend = await running(hub)
    server = await may(hub, backend, "suspend")
    cloud.act(server, lock=None)
    with pytest.raises(StartRefused, match="refused") as refused:
        await backend.suspend()
    assert refused.value.status == 503 and backend.status.state is State.RUNNING and backend.may_suspend
    cloud.act(server, unlock=None)
    await backend.suspend()
    cloud.act(server, lock=None)
    with pytest.raises(StartRefused, match="could not have this session go on"):
        await backend.resume()
    assert backend.status.state is State.SUSPENDED and backend.may_resume
    cloud.act(server, unlock=None)
    await backend.resume()
    assert backend.status.state is State.RUNNING


async def test_a_hub_that_is_killed_while_nova_is_at_it_finds_it_so(hub, cloud):
    backend = await running(hub)
    await may(hub, backend, "suspend")
    kept = backend.get_state()
    cloud.services.hold("nova-compute")  # nova has answered, and nobody does it yet
    try:
        moving = asyncio.create_task(backend.suspend())
        await until(lambda: cloud.server(backend.machine_name)["OS-EXT-STS:task_state"] == "suspending")
        await killed(hub, backend, moving)
        await hub.restart()
        again = hub.backend(state=kept)
        again.reported_port = 8888
        await until(lambda: "It is being suspended" in again.status.words)
        assert not again.may_suspend and not again.may_resume and await again.poll() is None
    finally:
        cloud.services.go_on("nova-compute")
    await until(lambda: again.may_resume)
    await again.resume()
    assert again.status.state is State.RUNNING
