"""Sessions in servers of a real nova's: from a start to an end, and whatever OpenStack says in between."""

import asyncio
import json

import pytest
from guests import said
from openstack_hub import made, started, until

from visa_spawner.backends.vm.provider import Silent
from visa_spawner.session import StartRefused, State


async def test_a_start_makes_a_server_and_a_stop_leaves_nothing(hub, cloud):
    backend, kept = hub.backend(), []
    backend.remember = lambda: kept.append((backend.get_state(), cloud.names()))
    folder = await started(hub, backend)
    assert kept[0][0]["machine"] and not kept[0][1], "its name is kept before there is a server"
    session = said(folder, "session")
    assert session["uid"] == 20001 and session["environment"]["HOME"] == "/home/alice"
    backend.reported_port = 8888
    server = cloud.server(backend.machine_name)
    (network,) = server["addresses"].values()
    assert await backend.address() == f"http://{network[0]['addr']}:8888"
    assert backend.status.state is State.RUNNING and await backend.poll() is None
    assert server["security_groups"] == [{"name": "visa"}] and server["config_drive"] == "True"
    assert server["metadata"]["visa:session"] == "alice/tooth" and server["metadata"]["visa-claim"].endswith(
        "used"
    )
    everything = json.dumps(server)
    assert "JUPYTERHUB" not in everything and session["environment"]["HOME"] not in everything
    assert "LAST LINE" in (await backend.last_lines())[-1]
    await backend.stop()
    assert not cloud.names() and not hub.machines.claims and not hub.machines.placement.taken


async def test_all_pages_are_listed_by_one_question_and_nobody_elses_is_touched(hub, cloud):
    # One by one: placement keeps its books in a file here, and refuses now and then what comes all at once.
    mine = [await made(hub, f"{n:016x}") for n in range(2)]
    other = cloud.own.compute.create_server(
        name="visa-test-ffffffffffffffff",
        flavor_id=cloud.own.compute.find_flavor("machine").id,
        image_id=next(iter(cloud.own.image.images())).id,
        networks="none",
    )
    try:
        listed = await hub.provider.list()  # nova gives two a page, the newest first
        assert {one.name for one in listed} == set(mine) and all(one.address for one in listed)
        assert {one.tags["host"] for one in listed} == {"openstack"}
        await hub.provider.delete(other.name)
        assert set(await hub.machines.sweep(set)) == set(mine), "what no session owns goes"
        assert cloud.names() == {other.name}
    finally:
        cloud.own.compute.delete_server(other.id)
    await hub.provider.delete(mine[0])  # harmless


async def refused(backend):
    with pytest.raises(StartRefused) as error:
        await backend.start()
    return error.value


async def test_a_quota_that_is_used_up_is_said_in_words(hub, cloud):
    cloud.quota(instances=0)
    try:
        error = await refused(hub.backend())
    finally:
        cloud.quota(instances=10)
    assert "no room" in str(error) and error.reason == "room" and error.field == "plan"
    assert not cloud.names() and not hub.machines.placement.taken


async def test_no_host_is_said_in_words_and_staff_see_novas(make_hub, cloud):
    hub = await make_hub(flavors={"general/machine": "huge"})
    cloud.quota(cores=-1)
    backend = hub.backend()
    try:
        error = await refused(backend)
    finally:
        cloud.quota(cores=40)
    assert "no room for this machine" in str(error) and error.reason == "room"
    assert "No valid host" in (await backend.last_lines())[-1]
    assert not cloud.names(), "what failed is removed"


async def test_a_host_that_takes_nothing_new_is_no_host(hub, cloud):
    cloud.host_takes(False)
    try:
        assert "no room for this machine" in str(await refused(hub.backend()))
    finally:
        cloud.host_takes(True)


@pytest.mark.parametrize(
    ("settings", "changes", "words"),
    [
        ({}, {"image": "unknown"}, "has not been prepared"),
        ({}, {"disk": 11 << 30}, "not set up"),
        ({"flavors": {"machine": "nothing"}}, {}, "not set up"),
        ({"network": "nothing"}, {}, "not set up"),
    ],
)
async def test_what_is_not_there_is_refused_in_words(make_hub, cloud, settings, changes, words):
    hub = await make_hub(**settings)
    assert words in str(await refused(hub.backend(**changes)))
    assert not cloud.names()


async def test_an_image_of_somebody_elses_is_none(hub, cloud):
    foreign = cloud.image(cloud.admin, f"sha256:{'2' * 64}")
    try:
        cloud.admin.image.update_image(foreign, visibility="public")
        assert (await hub.provider.image("base", "")).digest.endswith("1" * 64)
        assert await hub.provider.image("base", f"sha256:{'2' * 64}") is None
    finally:
        cloud.admin.image.delete_image(foreign)


async def test_a_token_that_is_good_no_more_is_replaced(hub, cloud):
    connection = hub.provider._calls._open()
    token = connection.session.get_token()
    answer = cloud.admin.identity.delete("/auth/tokens", headers={"X-Subject-Token": token})
    assert answer.status_code == 204
    # By a service that has not seen it yet: each keeps what it knows of one for a while.
    assert (await hub.provider.image("base", "")).digest.endswith("1" * 64)
    assert hub.provider._calls._open() is connection and connection.session.get_token() != token


async def test_a_credential_that_is_taken_away_is_silence_until_there_is_another(hub, cloud):
    backend = hub.backend()
    await started(hub, backend)
    own = cloud.own.identity
    (old,) = own.application_credentials(cloud.user)
    own.delete_application_credential(cloud.user, old)
    try:
        await until(lambda: backend.status.state is State.UNKNOWN)
        assert await backend.poll() is None
    finally:
        new = own.create_application_credential(cloud.user, "hub")
        cloud.write_credentials(new.id, new.secret)
    await until(lambda: backend.status.state is State.RUNNING)
    assert backend.machine_name in cloud.names()


@pytest.mark.parametrize("service", ["keystone", "nova"])
async def test_silence_is_not_the_end(hub, cloud, service):
    """Without keystone nova answers 503, without itself nobody answers."""
    backend = hub.backend()
    await started(hub, backend)
    cloud.services.stop(service)
    try:
        await until(lambda: backend.status.state is State.UNKNOWN)
        assert await backend.poll() is None and backend.get_state()
        with pytest.raises(Silent):
            await hub.provider.list()
        assert "not answer" in str(await refused(hub.backend("another")))
    finally:
        cloud.services.start(service)
        await until(lambda: cloud.services.answers(service))
    await until(lambda: backend.status.state is State.RUNNING)
    assert backend.machine_name in cloud.names() and not backend._final


async def test_an_error_of_a_server_that_runs_ends_nothing(hub, cloud):
    backend = hub.backend()
    await started(hub, backend)
    server = cloud.server(backend.machine_name)["id"]
    cloud.act(server, os_resetState={"state": "error"})
    await until(lambda: "something is wrong" in backend.status.words)
    assert backend.status.state is State.RUNNING and await backend.poll() is None
    cloud.act(server, os_resetState={"state": "active"})
    await until(lambda: "something is wrong" not in backend.status.words)


async def test_an_error_of_a_server_that_may_be_suspended_ends_nothing(hub, cloud):
    """One that could not be resumed says that it is shut down, as does one that was stopped."""
    backend = hub.backend()
    await started(hub, backend)
    server = cloud.server(backend.machine_name)["id"]
    hub.machines.watch.busy = lambda: False  # it looks once all has happened
    cloud.act(server, os_stop=None)
    # Nova has the power off before the stop is over, which then would have the last word.
    await until(lambda: cloud.server(backend.machine_name)["status"] == "SHUTOFF")
    assert cloud.server(backend.machine_name)["OS-EXT-STS:power_state"] == 4
    cloud.act(server, os_resetState={"state": "error"})
    hub.machines.watch.look_soon()
    await until(lambda: "something is wrong" in backend.status.words)
    assert backend.status.state is State.RUNNING and await backend.poll() is None


@pytest.mark.parametrize(
    ("how", "words"), [("deleted", "removed by somebody else"), ("stopped", "from inside")]
)
async def test_an_end_by_somebody_else_is_said_in_words_and_leaves_nothing(hub, cloud, how, words):
    backend = hub.backend()
    await started(hub, backend)
    server = cloud.server(backend.machine_name)["id"]
    if how == "deleted":
        cloud.admin.compute.delete_server(server)
    else:
        cloud.act(server, os_stop=None)
    async with asyncio.timeout(90):
        status = await backend.ended()
    assert words in status.words and status.state is State.FAILED and await backend.poll()
    await until(lambda: not cloud.names())


async def test_a_machine_that_staff_suspend_stands_still_and_goes_on(hub, cloud):
    backend = hub.backend()
    await started(hub, backend)
    server = cloud.server(backend.machine_name)["id"]
    cloud.act(server, suspend=None)
    await until(lambda: "paused on its host" in backend.status.words)
    assert await backend.poll() is None and backend.status.held
    cloud.act(server, resume=None)
    await until(lambda: backend.status.state is State.RUNNING)
