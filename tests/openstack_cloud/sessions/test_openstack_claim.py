"""The claim of a machine: once, in time, and from the machine that it was made for; over real TLS, from
guests with addresses of their own."""

import asyncio
import base64
import json

import pytest
from guests import said
from openstack_hub import starting, until

from visa_session import claim
from visa_spawner.backends.vm.openstack.claims import AGAIN, ELSEWHERE, LATE, UNKNOWN


def user_data(server):
    return base64.b64decode(server["OS-EXT-SRV-ATTR:user_data"])


def whys(hub):
    return [said["why"] for what, said in hub.refused if what == "claim-refused"]


async def told(folder):
    await until(lambda: said(folder))
    return said(folder)["answer"]


async def test_it_is_redeemed_once_and_a_replay_is_refused_and_audited(hub, cloud):
    backend = hub.backend()
    async with starting(backend) as start:
        server = await hub.boots(backend)
        first = hub.guests.boot(server)
        await start
    assert (await told(first))["taken"] is True and not hub.refused
    again = hub.guests.boot(server)  # from the machine itself, as a program in it might
    assert "refused" in await told(again) and said(again, "session") is None
    (what, line), *_ = hub.refused
    assert (what, line["why"], line["machine"]) == ("claim-refused", AGAIN, backend.machine_name)
    assert (line["owner"], line["session"]) == ("alice", "tooth")
    assert line["address"] == server["addresses"]["visa"][0]["addr"]
    hub.guests.boot(server, address="10.214.7.251")
    await until(lambda: len(whys(hub)) == 2)
    assert whys(hub)[1] == AGAIN


async def test_from_another_machine_or_guessed_it_is_refused_and_its_own_gets_it_all_the_same(hub):
    backend = hub.backend()
    async with starting(backend) as start:
        server = await hub.boots(backend)
        thief = hub.guests.boot(server, address="10.214.7.250")
        assert "refused" in await told(thief)
        assert whys(hub) == [ELSEWHERE] and hub.refused[0][1]["address"] == "10.214.7.250"
        values = json.loads(user_data(server))
        values["visa"]["claim"] = "x" * 43
        for _ in range(2):
            guessed = hub.guests.boot(server, user_data=json.dumps(values).encode())
            assert "refused" in await told(guessed)
        # The second one within a minute is not told again.
        assert whys(hub) == [ELSEWHERE, UNKNOWN] and hub.refused[1][1]["machine"] == ""
        hub.guests.boot(server)
        await start
    assert said(thief, "session") is None


async def test_too_late_it_is_refused(make_hub):
    hub = await make_hub(claim_minutes=0.01)
    backend = hub.backend()
    async with starting(backend):
        server = await hub.boots(backend)
        await asyncio.sleep(1)  # it is over after 0.6 s from the order on
        late = hub.guests.boot(server)
        assert "refused" in await told(late)
    assert whys(hub) == [LATE]


async def test_a_guest_that_says_no_ends_the_start_and_its_document_is_gone(hub, cloud):
    backend = hub.backend(binds=())
    backend.gpu_device = "/dev/nothing"
    real = hub.provider._claims.give

    async def spoiled(name, document, *more):
        values = json.loads(document)
        values["session"]["uid"] = 0
        return await real(name, json.dumps(values).encode(), *more)

    hub.provider._claims.give = spoiled
    async with starting(backend) as start:
        folder = hub.guests.boot(await hub.boots(backend))
        with pytest.raises(Exception, match="could not become this session"):
            await start
    assert "refused" in await told(folder)
    assert not cloud.names() and not hub.provider._claims._desks


async def ask(hub, *arguments):
    """As a guest's program asks, on this machine; in a thread, since the hub answers in this one's loop."""
    host, port = hub.provider.claim_host
    pin = hub.provider.claim_certificate
    from visa_spawner.backends.vm.openstack.listener import fingerprint

    where = claim.Claim(host, port, fingerprint(pin), "")
    return await asyncio.to_thread(claim.ask, where, *arguments)


async def test_nothing_else_is_behind_that_port(hub):
    for place in ("/", "/hub/api", "/claim/../hub", "/metrics"):
        assert (await ask(hub, place, {}))[0] == 404
    for question in ({}, {"claim": "x", "more": 1}, ["claim"]):
        assert (await ask(hub, "/claim", question))[0] == 400
    assert (await ask(hub, "/taken", {"receipt": "x" * 43, "answer": {"taken": True}}))[0] == 403
    with pytest.raises(OSError):
        # Cut off before it is read, or refused.
        status, _ = await ask(hub, "/claim", {"claim": "x" * 100_000})
        raise OSError(status) if status >= 400 else AssertionError(status)


async def test_a_port_with_another_certificate_hears_no_claim(hub):
    host, port = hub.provider.claim_host
    other = claim.Claim(host, port, "0" * 64, "secret")
    with pytest.raises(OSError, match="certificate"):
        await asyncio.to_thread(claim.ask, other, "/claim", {"claim": other.claim})
    assert not hub.refused


async def test_one_address_cannot_take_all_connections(hub):
    host, port = hub.provider.claim_host
    held = [await asyncio.open_connection(host, port) for _ in range(8)]
    reader, writer = await asyncio.open_connection(host, port)
    assert await asyncio.wait_for(reader.read(), 5) == b"", "the ninth is closed"
    for _, one in (*held, (reader, writer)):
        one.close()
    await until(lambda: not hub.provider._listener._server._open)
    assert (await ask(hub, "/", {}))[0] == 404
