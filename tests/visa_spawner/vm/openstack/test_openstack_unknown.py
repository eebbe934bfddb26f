"""Unknown is not dead: what nova must say before a server counts as gone."""

import secrets
import sys
import threading
from types import SimpleNamespace

import pytest
from plain_nova import Nova, Provider

from visa_spawner.backends.vm.openstack import data
from visa_spawner.backends.vm.openstack.claims import Claims, Denied, NotNow
from visa_spawner.backends.vm.openstack.connection import Cloud, Project
from visa_spawner.backends.vm.provider import Refused, Silent
from visa_spawner.session import Bind, Person


@pytest.fixture
def nova():
    return Nova()


@pytest.fixture
def provider(nova, tmp_path):
    made = Provider(nova, tmp_path, delete_timeout=1)
    yield made
    made.close()


async def names(provider):
    return {machine.name for machine in await provider.list()}


# Lists ------------------------------------------------------------------------------------------
async def test_what_a_list_has_not_is_gone_by_novas_own_word_alone(nova, provider):
    one, two, three, four = (nova.add(number) for number in range(1, 5))
    assert await names(provider) == {one, two, three, four}
    ids = list(nova.servers)
    # The second page without a cell: one is in it, one was deleted, of one the proxy knows nothing.
    nova.listed = []
    nova.down.add(ids[0])
    del nova.servers[ids[1]]
    nova.answers[f"GET /servers/{ids[2]}"] = (404, "<html>404 Not Found</html>")
    nova.answers[f"GET /servers/{ids[3]}"] = (403, {"forbidden": {"message": "Policy does not allow"}})
    assert await names(provider) == {one, three, four}
    nova.answers.clear()
    nova.servers[ids[2]]["status"] = "DELETED"
    nova.servers[ids[3]]["metadata"] = {}
    assert await names(provider) == {one}


async def test_silence_about_a_missing_server_keeps_it(nova, provider):
    one = nova.add(1)
    await provider.list()
    nova.listed = []
    nova.answers["GET /servers/0"] = (None, None)
    assert await names(provider) == {one}


async def test_of_many_missing_ones_a_few_are_asked_for_at_a_time_and_each_has_its_turn(nova, provider):
    many = [nova.add(number) for number in range(1, 61)]
    await provider.list()
    nova.listed, nova.down = [], set(list(nova.servers)[:50])
    gone = {one for id, one in zip(list(nova.servers)[50:], many[50:], strict=True) if nova.servers.pop(id)}
    for _ in range(3):
        before = len(nova.asked)
        found = await names(provider)
        assert len(nova.asked) - before <= 25
    assert found == set(many) - gone


async def test_a_first_list_of_more_pages_says_nothing_while_neutron_knows_servers_that_it_has_not(
    nova, provider
):
    one, two, three, four = (nova.add(number) for number in range(1, 5))
    ids, nova.page = list(nova.servers), 2
    nova.ports = [{"device_id": id, "device_owner": "compute:nova"} for id in ids]
    nova.ports += [{"device_id": "a-router", "device_owner": "network:router_interface"}]
    nova.listed.remove(ids[0])
    nova.down.add(ids[0])
    nova.listed.remove(ids[1])
    del nova.servers[ids[1]]  # its port is removed a moment later
    for _ in range(2):
        with pytest.raises(Silent, match=ids[0]):
            await provider.list()
    nova.down.clear()
    nova.answers[f"GET /servers/{ids[0]}"] = (403, {"forbidden": {"message": "Policy does not allow"}})
    with pytest.raises(Silent, match="Policy"):
        await provider.list()
    nova.answers.clear()
    assert await names(provider) == {one, three, four}, "the cell answers since nova's list"
    before = len([asked for asked in nova.asked if "ports" in asked])
    await provider.list()
    assert len([asked for asked in nova.asked if "ports" in asked]) == before, "later lists know whom to miss"


async def test_a_first_list_of_one_page_asks_neutron_nothing(nova, provider):
    one = nova.add(1)
    assert await names(provider) == {one} and nova.asked == ["GET /servers/detail"]


async def test_to_watch_200_servers_costs_one_list_a_look(nova, provider):
    """One question a page of nova's, which are of 1000 servers unless nova is told otherwise."""
    many = {nova.add(number) for number in range(1, 201)}
    assert await names(provider) == many and nova.asked == ["GET /servers/detail"]
    nova.page = 50
    nova.asked.clear()
    assert await names(provider) == many and nova.asked == ["GET /servers/detail"] * 5  # the last is empty


# Claims -----------------------------------------------------------------------------------------
async def test_claims_that_nobody_made_cost_no_list_and_whole_ones_one_in_some_seconds(nova, provider):
    nova.add(1)
    await provider.list()
    claims = Claims(provider, lambda *said: None)
    for claim in ("guessed", "", "\ud800" * 43, "x" * 44, *(secrets.token_urlsafe(32) for _ in range(50))):
        with pytest.raises(Denied):
            await claims.show(claim, "10.1.0.9")
        with pytest.raises(Denied):
            claims.told(claim, "10.1.0.9", {})
    assert nova.asked == ["GET /servers/detail"]
    provider._began = provider._as_of = float("-inf")
    for _ in range(50):
        with pytest.raises(Denied):
            await claims.show(secrets.token_urlsafe(32), "10.1.0.9")
    assert len(nova.asked) == 2


async def test_a_claim_is_not_refused_for_a_list_that_failed_or_has_not_ended(nova, provider):
    nova.answers["GET /servers/detail"] = (503, "")
    for _ in range(3):
        with pytest.raises(NotNow):
            await provider.find("unknown")
    assert len(nova.asked) == 1, "the time counts from when a list begins, also one that fails"
    nova.answers.clear()
    await provider.list()
    assert await provider.find("unknown") is None
    provider._began, provider._under_way = provider._began + 1, 1
    with pytest.raises(NotNow):
        await provider.find("unknown")
    assert len(nova.asked) == 2


# Removing ---------------------------------------------------------------------------------------
async def test_a_machine_is_removed_when_nova_says_so_and_not_for_any_other_no(nova, provider):
    one = nova.add(1)
    (id,) = nova.servers
    nova.answers["GET /servers/detail"] = (403, {"forbidden": {"message": "Policy does not allow"}})
    with pytest.raises(Refused, match="Policy"):
        await provider.delete(one)  # after a restart: nothing is known yet
    nova.answers = {"DELETE": (404, "<html>no backend</html>")}
    with pytest.raises(Silent):
        await provider.delete(one)
    nova.answers = {"DELETE": (404, {"error": {"message": "not found"}})}
    with pytest.raises(Silent):
        await provider.delete(one)
    nova.answers = {}
    await provider.delete(one)
    assert id not in nova.servers
    await provider.delete(one)


# Credentials ------------------------------------------------------------------------------------
@pytest.mark.parametrize("setting", ["", "ours"])
async def test_a_credential_of_another_project_says_nothing_of_our_machines(monkeypatch, setting):
    for module, name in [
        ("keystoneauth1.exceptions", "ClientException"),
        ("openstack.exceptions", "SDKException"),
        ("requests.exceptions", "RequestException"),
    ]:
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{name: type(name, (Exception,), {})}))
    here = SimpleNamespace(current_project_id="ours")
    monkeypatch.setattr(Cloud, "_open", lambda self: here)
    project = Project(setting)
    lanes = [Cloud("none", "visa", project, 5, 1) for _ in range(2)]
    assert await lanes[0].call(lambda api: "asked") == "asked"
    for other in ("another", None):
        here.current_project_id = other
        for lane in lanes:
            with pytest.raises(Silent, match=f"of project {other}, and the machines are in ours"):
                await lane.call(lambda api: pytest.fail("another project was asked"))
    here.current_project_id = "ours"
    assert await lanes[1].call(lambda api: "asked") == "asked"
    for lane in lanes:
        lane.close()


# Directories ------------------------------------------------------------------------------------
async def test_a_file_server_that_hangs_does_not_hold_up_the_hub(monkeypatch, nova, provider):
    goes_on, main = threading.Event(), threading.get_ident()

    def hangs(*given):
        assert threading.get_ident() != main
        goes_on.wait(30)

    monkeypatch.setattr(data, "served", hangs)
    provider._files._timeout = 0.2
    provider.nfs = {"/home": "192.0.2.1:/home"}
    home = Bind("/home/alice", "/home/alice", False, "/home/alice")
    with pytest.raises(Silent, match="no answer within"):
        await provider.hand_over("visa-x", Person("alice", 20001, 20001, (), "/home/alice"), [home], {})
    goes_on.set()


def test_nothing_is_suspended_where_the_operator_does_not_want_it(nova, tmp_path, provider):
    other = Provider(nova, tmp_path, suspending=False)
    assert provider.can_suspend and not other.can_suspend
    other.close()
