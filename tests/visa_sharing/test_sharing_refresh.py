"""What no commit tells: an account that is blocked at the facility, a catalogue that has other teams now."""

import time

import pytest
from sharing_hub import ACCOUNTS, a_sharing_hub, entry, say, write_teams


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub({"refresh_seconds": 1}) as hub:
        yield hub


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "erin", "dave"):
        hub.token(name)
    return hub.run()


@pytest.fixture
def line(hub, token):
    line = hub.line(token)
    line.until(lambda table: True)
    yield line
    line.close()
    hub.tell_accounts(ACCOUNTS)
    hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def blocked(*names):
    return {name: values for name, values in ACCOUNTS.items() if name not in names}


def test_an_account_that_is_blocked_while_in_is_out(hub, line, token):
    hub.let_in("bob")
    hub.let_in("erin")
    say(hub, token, entry("b1", "bob"))
    line.roles(bob="viewer", erin="viewer")
    hub.tell_accounts(blocked("bob"))
    # Nobody but the hub asks: bob makes no request of his own.
    line.roles(erin="viewer")
    member = hub.members()["bob"]
    assert member["refused"] == "has to log in again at the facility first"
    refused = hub.events(what="member-refused")[-1]
    assert (refused["whom"], refused["who"]) == ("bob", "")
    assert hub.api("GET", "visa/shared", "bob").status_code in (401, 403)
    # Once, not at every look.
    time.sleep(2.5)
    assert [event["whom"] for event in hub.events(what="member-refused")].count("bob") == 1
    hub.tell_accounts(ACCOUNTS)
    hub.login("bob").close()
    line.roles(bob="viewer", erin="viewer")
    assert hub.events(what="member-changed")[-1]["details"]["why"] == "good again"
    say(hub, token, entry("b1-left", "bob", "left"))


def test_blocked_while_no_hub_ran(hub, line, token):
    hub.let_in("bob")
    hub.let_in("erin")
    say(hub, token, entry("b2", "bob"))
    line.roles(bob="viewer", erin="viewer")
    hub.kill()
    assert line.ended.wait(5)
    hub.tell_accounts(blocked("bob"))
    hub.start()
    again = hub.line(token)
    again.roles(erin="viewer")
    again.close()
    say(hub, token, entry("b2-left", "bob", "left"))
    hub.tell_accounts(ACCOUNTS)
    hub.login("bob").close()


def test_a_catalogue_that_lists_somebody_else(hub, line):
    hub.api("PUT", "visa/sharing/alice/tooth/teams/A-1", "alice", json={"role": "viewer"})
    line.roles(bob="viewer", erin="viewer", dave="viewer")
    write_teams(hub.root, {"A-1": ["alice", "heidi"], "B-2": ["alice"]})
    # In by the catalogue's list alone, at the first login.
    hub.login("heidi").close()
    line.roles(bob="viewer", erin="viewer", heidi="viewer")
