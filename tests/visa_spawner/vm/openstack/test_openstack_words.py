"""What OpenStack says and is told, as plain values; what is exported to a machine; wrong settings."""

import asyncio
import json
import stat
from ipaddress import ip_address

import pytest
from traitlets import TraitError

from visa_spawner.backends.vm.openstack import data, servers
from visa_spawner.backends.vm.openstack.claims import USED, Claims, Denied, Kept, digest
from visa_spawner.backends.vm.openstack.connection import refusal
from visa_spawner.backends.vm.openstack.provider import OpenStackProvider
from visa_spawner.backends.vm.openstack.states import stands
from visa_spawner.backends.vm.provider import FAULTY, KEEPS_ROOM, SAVING, Refused, Silent, Stands
from visa_spawner.session import Bind, Person

ALICE = Person("alice", 20001, 20001, (30001,), "/home/alice")


@pytest.mark.parametrize(
    ("status", "said", "what"),
    [
        (401, "The request you have made requires authentication.", Silent),
        (429, "", Silent),
        (500, "Unexpected API Error.", Silent),
        (503, "", Silent),
        (404, "no such host behind this proxy", Silent),
        (403, "Quota exceeded for cores: Requested 2, but already used 20 of 20 cores", "room"),
        (403, "Maximum number of ports exceeded", "room"),
        (409, "Quota exceeded for resources: ['port'].", "room"),
        (409, "Cannot 'os-stop' instance while it is in vm_state stopped", "state"),
        (403, "Policy doesn't allow os_compute_api:servers:create to be performed.", "provider"),
        (400, "Flavor's disk is too small for requested image.", "provider"),
    ],
)
def test_what_an_answer_means(status, said, what):
    error = refusal("POST /servers", status, said)
    if what is Silent:
        assert isinstance(error, Silent)
    else:
        assert isinstance(error, Refused) and error.reason == what and said in str(error)
        assert said not in error.words or not said, "nova's own words are for staff"


def test_gone_is_what_nova_says_of_that_server():
    error = refusal("GET /servers/1", 404, "Instance could not be found.", gone=True)
    assert isinstance(error, Refused) and error.reason == "gone"


OWNERS = {"metadata": {"visa-suspended": "yes"}}
RAN = {"OS-SRV-USG:launched_at": "2026-11-30T12:00:00"}


@pytest.mark.parametrize(
    ("server", "what"),
    [
        ({"status": "BUILD"}, (Stands.MAKING, "")),
        ({"status": "ACTIVE"}, (Stands.RUNNING, "")),
        ({"status": "MIGRATING"}, (Stands.RUNNING, "")),
        ({"status": "UNKNOWN"}, (Stands.RUNNING, "")),
        ({"status": "WHAT NOVA SAYS NEXT YEAR"}, (Stands.RUNNING, "")),
        ({"status": "PAUSED"}, (Stands.PAUSED, "")),
        ({"status": "SUSPENDED"}, (Stands.PAUSED, "")),
        ({"status": "SUSPENDED"} | OWNERS, (Stands.SAVED, KEEPS_ROOM)),
        ({"status": "SUSPENDED", "metadata": {"visa-suspended": ""}}, (Stands.PAUSED, "")),
        ({"status": "ACTIVE", "OS-EXT-STS:task_state": "suspending"} | OWNERS, (Stands.PAUSED, SAVING)),
        ({"status": "ACTIVE", "OS-EXT-STS:task_state": "suspending"}, (Stands.RUNNING, "")),
        ({"status": "ACTIVE", "OS-EXT-STS:task_state": None} | OWNERS, (Stands.RUNNING, "")),
        ({"status": "SHUTOFF"} | OWNERS, (Stands.ENDED, "shut down")),
        ({"status": "SHUTOFF"}, (Stands.ENDED, "shut down")),
        ({"status": "SHELVED_OFFLOADED"}, (Stands.ENDED, "destroyed")),
        ({"status": "ERROR"}, (Stands.ENDED, "failed")),
        ({"status": "ERROR", "fault": {"message": "No valid host was found."}}, (Stands.ENDED, "no room")),
        ({"status": "ERROR", "OS-EXT-STS:power_state": 1} | RAN, (Stands.RUNNING, FAULTY)),
        ({"status": "ERROR", "OS-EXT-STS:power_state": 6} | RAN, (Stands.ENDED, "lost")),
        # Nova cannot tell; paused; what a suspended one is when it could not be resumed; nothing said.
        ({"status": "ERROR", "OS-EXT-STS:power_state": 0} | RAN, (Stands.RUNNING, FAULTY)),
        ({"status": "ERROR", "OS-EXT-STS:power_state": 3} | RAN, (Stands.RUNNING, FAULTY)),
        ({"status": "ERROR", "OS-EXT-STS:power_state": 4} | RAN, (Stands.RUNNING, FAULTY)),
        ({"status": "ERROR"} | RAN, (Stands.RUNNING, FAULTY)),
    ],
)
def test_how_a_server_stands(server, what):
    assert stands(server) == what


def test_tags_come_back_as_they_went_in_and_foreign_servers_are_none():
    tags = {"session": "alice/tooth", "gpus": "", "hub": "another"}
    said = servers.metadata(tags, "here")
    assert servers.tags_from({"metadata": said | {"owner": "x"}}, "here") == tags | {"hub": "here"}
    assert servers.tags_from({"metadata": said}, "elsewhere") is None
    assert servers.tags_from({}, "here") is None
    with pytest.raises(Refused, match="255"):
        servers.metadata({"session": "a" * 256}, "here")


def test_the_address_is_the_fixed_one():
    addresses = {
        "visa": [
            {"addr": "2001:db8::5", "version": 6, "OS-EXT-IPS:type": "fixed"},
            {"addr": "192.0.2.77", "version": 4, "OS-EXT-IPS:type": "floating"},
            {"addr": "10.1.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"},
        ]
    }
    assert servers.address({"addresses": addresses}) == "10.1.0.5"
    assert servers.address({"addresses": {}}) == "" and servers.address({}) == ""


# Settings ---------------------------------------------------------------------------------------
def test_a_secret_that_others_may_read_stops_the_hub(tmp_path):
    paths = {name: tmp_path / name for name in ("clouds_file", "claim_certificate", "claim_key")}
    for path in paths.values():
        path.touch(mode=0o600)
    settings = {name: str(path) for name, path in paths.items()} | {"claim_address": "hub.example:8443"}
    OpenStackProvider("here", **settings).close()
    for name in ("clouds_file", "claim_key"):
        paths[name].chmod(0o644)
        with pytest.raises(TraitError, match=f"{name}.*chmod 600"):
            OpenStackProvider("here", **settings)
        paths[name].chmod(stat.S_IRUSR)
    with pytest.raises(TraitError, match="claim_key must be set"):
        OpenStackProvider("here", **settings | {"claim_key": ""})
    with pytest.raises(TraitError, match="HOST:PORT"):
        OpenStackProvider("here", **settings | {"claim_address": "https://hub"})
    with pytest.raises(TraitError, match="ADDRESS:PATH"):
        OpenStackProvider("here", **settings, nfs={"/data": "nfs:/data"})


# Directories ------------------------------------------------------------------------------------
def test_directories_are_served_where_the_longest_beginning_says(tmp_path):
    nfs = {"/": "192.0.2.1:/", "/data/visitor": "192.0.2.2:/export/visitor"}
    raw = Bind(str(tmp_path), "/data/visitor/x/RAW_DATA", True, "/data/visitor/x/RAW_DATA")
    home = Bind(str(tmp_path), "/home/alice", False, "/home/alice")
    one, two = data.served([raw, home], ALICE, nfs)
    assert (one.server, one.path) == ("192.0.2.2", "/export/visitor/x/RAW_DATA")
    assert (two.server, two.path) == ("192.0.2.1", "/home/alice")
    mounted = data.mounts([one, two], ALICE)
    assert [mount["read_only"] for mount in mounted] == [True, False]
    assert mounted[0]["kind"] == "nfs" and mounted[0]["target"] == "/data/visitor/x/RAW_DATA"
    with pytest.raises(Refused, match="no server for /data/visitorx"):
        data.served([Bind("/x", "/x", True, "/data/visitorx")], ALICE, {"/data/visitor": "192.0.2.2:/v"})


async def test_each_server_is_told_by_the_command_and_its_no_is_one(tmp_path):
    told = tmp_path / "told"
    command = ["/bin/sh", "-c", f'cat >> {told}; echo " for {{server}}" >> {told}']
    binds = [Bind(str(tmp_path), "/home/alice", False, "/home/alice")]
    directories = data.served(binds, ALICE, {"/home": "192.0.2.2:/home"})
    await data.export(command, "visa-x", "10.1.0.5", directories, ALICE)
    asked, _, server = told.read_text().rpartition(" for ")
    assert json.loads(asked)["directories"][0]["uid"] == 20001 and ip_address(server.strip())
    with pytest.raises(Refused, match="no space"):
        await data.take_back(["/bin/sh", "-c", "echo no space >&2; exit 1"], {"192.0.2.2"}, "visa-x")


# Claims, without the port -----------------------------------------------------------------------
CLAIM = "c" * 43


class Books:
    """A provider with one machine."""

    def __init__(self):
        self.claim = Kept(digest(CLAIM), 2**40)

    async def find(self, digest):
        return "one" if digest == self.claim.digest else None

    def kept(self, name):
        return self.claim

    async def addresses(self, name):
        return frozenset({"10.1.0.5"})

    async def mark(self, name, state):
        self.claim = Kept(self.claim.digest, self.claim.until, state)


def test_what_is_kept_of_a_claim_is_of_no_use_to_anybody():
    kept = Kept(digest(CLAIM), 17)
    assert CLAIM not in kept.text() and Kept.read(kept.text()) == kept
    for bad in ("", "a b", "a b new", "a 1 old", "a 1 new x"):
        assert Kept.read(bad) is None


async def test_of_two_that_show_it_at_once_one_gets_the_document():
    refused = []
    claims = Claims(Books(), lambda *said: refused.append(said))
    both = [asyncio.create_task(claims.show(CLAIM, "10.1.0.5")) for _ in range(2)]
    async with asyncio.timeout(5):
        while not claims.waits("one"):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
    giving = asyncio.create_task(claims.give("one", b"{}", 5))
    got = [answer for answer in await asyncio.gather(*both) if answer]
    assert len(got) == 1
    receipt = json.loads(got[0])["receipt"]
    with pytest.raises(Denied):
        claims.told(receipt, "10.1.0.6", {"taken": True})
    claims.told(receipt, "10.1.0.5", {"taken": True})
    assert (await giving) == {"taken": True}
    for attempt in (claims.show(CLAIM, "10.1.0.5"), claims.show(CLAIM, "10.1.0.6")):
        with pytest.raises(Denied):
            await attempt
    assert len(refused) == 3


async def test_many_refusals_of_one_kind_are_told_once():
    refused = []
    claims = Claims(Books(), lambda *said: refused.append(said))
    for _ in range(50):
        with pytest.raises(Denied):
            await claims.show("guessed", "10.1.0.9")
    assert len(refused) == 1


async def test_a_machine_that_asks_anew_while_its_claim_becomes_used_gets_the_document():
    """Nova has written it, a list says so already, and the answer to the hub is on its way."""
    refused, written, answered = [], asyncio.Event(), asyncio.Event()

    class Slow(Books):
        async def mark(self, name, state):
            await super().mark(name, state)
            if state == USED:
                written.set()
                await answered.wait()

    claims = Claims(Slow(), lambda *said: refused.append(said))
    first = asyncio.create_task(claims.show(CLAIM, "10.1.0.5"))
    async with asyncio.timeout(5):
        while not claims.waits("one"):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
    giving = asyncio.create_task(claims.give("one", b"{}", 5))
    await asyncio.wait_for(written.wait(), 5)
    first.cancel()
    again = asyncio.create_task(claims.show(CLAIM, "10.1.0.5"))
    await asyncio.sleep(0)
    answered.set()
    given = json.loads(await asyncio.wait_for(again, 5))
    claims.told(given["receipt"], "10.1.0.5", {"taken": True})
    assert (await giving) == {"taken": True} and not refused
    with pytest.raises(Denied):
        claims.told("r" * 43, "10.1.0.5", {"taken": True})
    assert not refused, "a receipt of an earlier hub's is no claim that was refused"
