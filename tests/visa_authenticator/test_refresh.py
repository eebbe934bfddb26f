"""People who are logged in: their accounts follow the provider, and its silence changes nothing."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from facility import eventually

from demo.login import LoginFailed, Page, token_for

#: Longer than the hub and the authenticator of the tests take an account for fresh.
STALE = 1.2


def start(facility, name: str, server: str = "") -> httpx.Response:
    return facility.hub.api("POST", f"users/{name}/servers/{server}")


@pytest.fixture
def running(facility):
    """Start a session, and stop all of them in the end."""
    started = []

    def run(name: str, server: str = "one") -> None:
        assert start(facility, name, server).status_code in (201, 202)
        started.append((name, server))
        assert eventually(lambda: facility.hub.user(name)["servers"].get(server, {}).get("ready"), 20)

    yield run
    for name, server in started:
        facility.hub.api("DELETE", f"users/{name}/servers/{server}")
    for name, server in started:
        assert eventually(lambda n=name, s=server: s not in facility.hub.user(n)["servers"], 20)


def test_a_new_team_and_role_arrive_without_a_new_login(facility):
    facility.provider.add("newt", 21001, experiments=["A-1"])
    client = facility.log_in("newt")
    facility.provider.change("newt", experiments=["A-1", "A-2"], roles=["administrator"])
    time.sleep(STALE)
    assert facility.inside(client)
    user = facility.hub.user("newt")
    assert sorted(user["groups"]) == ["experiment-A-1", "experiment-A-2", "role-administrator"]
    assert user["auth_state"]["account"]["teams"] == ["A-1", "A-2"]
    facility.provider.change("newt", experiments=[], roles=[])
    time.sleep(STALE)
    assert facility.inside(client)
    user = facility.hub.user("newt")
    assert (user["groups"], user["admin"]) == ([], False)


def test_a_start_uses_the_teams_of_this_moment(facility, running):
    facility.provider.add("starter", 21002)
    facility.log_in("starter")
    time.sleep(STALE)
    facility.provider.change("starter", experiments=["B-7"])
    running("starter")
    assert facility.hub.user("starter")["groups"] != []
    assert "experiment-B-7" in facility.hub.user("starter")["groups"]


def test_refresh_tokens_rotate_and_are_kept(facility):
    facility.provider.add("rota", 21003)
    client = facility.log_in("rota")
    used = set()

    def rotated():
        assert facility.inside(client)
        used.add(facility.remember("rota")["refresh_token"])
        return len(used) == 3

    assert eventually(rotated)


def test_many_requests_at_once_spend_a_refresh_token_once(facility):
    facility.provider.add("hasty", 21004)
    client = facility.log_in("hasty")
    for _ in range(2):
        time.sleep(2.1)  # an access token lives for one second, counted in whole ones
        with ThreadPoolExecutor(12) as pool:
            assert all(pool.map(lambda _: facility.inside(client), range(12)))
    assert facility.remember("hasty")
    assert "refresh token already used" not in facility.provider.log


@pytest.mark.parametrize(("silence", "uid"), [("stopped", 21010), ("hanging", 21011), ("broken", 21012)])
def test_a_silent_provider_logs_nobody_out(facility, silence, uid):
    name = f"calm-{silence}"
    facility.provider.add(name, uid, experiments=["C-1"])
    client = facility.log_in(name)
    before = len(facility.hub.log)
    if silence == "stopped":
        facility.provider.stop()
    elif silence == "hanging":
        facility.provider.signal(signal.SIGSTOP)
    else:
        facility.provider.spoil_accounts()
    try:
        for _ in range(2):
            time.sleep(STALE)
            begun = time.monotonic()
            assert facility.inside(client)
            assert time.monotonic() - begun < 5
        assert "experiment-C-1" in facility.hub.user(name)["groups"]
    finally:
        if silence == "stopped":
            facility.provider.start()
        facility.provider.signal(signal.SIGCONT)
    facility.provider.change(name, experiments=["C-2"])

    def arrived():
        return facility.inside(client) and "experiment-C-2" in facility.hub.user(name)["groups"]

    assert eventually(arrived)
    log = facility.hub.log[before:]
    assert log.count("The provider does not answer, everybody stays logged in as they are") == 1
    assert log.count("The provider answers again") == 1
    assert "Traceback" not in log


def test_the_providers_word_ends_a_login_and_the_tokens_with_it(facility):
    facility.provider.add("gone", 21020)
    client = facility.log_in("gone")
    token = token_for(client, facility.site, "gone", "test")
    facility.seen.add(token)
    headers = {"Authorization": f"token {token}"}
    assert httpx.get(f"{facility.site}/hub/api/user", headers=headers).status_code == 200
    before = len(facility.hub.log)
    facility.provider.remove("gone")
    time.sleep(STALE)
    assert not facility.inside(client)
    assert httpx.get(f"{facility.site}/hub/api/user", headers=headers).status_code == 403
    assert start(facility, "gone").status_code == 403
    log = facility.hub.log[before:]
    assert log.count("The login of gone has ended: the provider said invalid_grant") == 1
    assert "Traceback" not in log and "_token_authenticated" not in log
    assert facility.hub.user("gone")["auth_state"] is None
    again = client.get(f"{facility.site}/hub/oauth_login")
    assert "password" in Page(again.text).fields, "the provider forgets who is gone, too"
    facility.log_in("ada", client)


def test_a_session_reports_on_after_its_owners_login_has_ended(facility):
    facility.provider.add("asleep", 21021)
    client = facility.log_in("asleep")
    token = token_for(client, facility.site, "asleep", "test")
    facility.seen.add(token)
    headers = {"Authorization": f"token {token}"}
    facility.provider.remove("asleep")
    time.sleep(STALE)
    report = f"{facility.site}/hub/api/users/asleep/activity"
    for _ in range(2):
        sent = httpx.post(report, headers=headers, json={"last_activity": "2026-01-01T00:00:00Z"})
        assert sent.is_success
        assert not facility.inside(client), "a report does not vouch for the person"
        assert httpx.get(f"{facility.site}/hub/api/user", headers=headers).status_code == 403


def test_claims_gone_bad_keep_the_person_but_start_nothing(facility):
    facility.provider.add("fading", 21030, experiments=["D-1"])
    client = facility.log_in("fading")
    facility.provider.change("fading", uidNumber=None)
    before = len(facility.hub.log)
    for _ in range(2):
        time.sleep(STALE)
        assert facility.inside(client)
    answer = start(facility, "fading", "two")
    assert answer.status_code == 403
    assert "Your account cannot be used any more: uidNumber is missing" in answer.json()["message"]
    assert facility.hub.user("fading")["auth_state"]["account"]["uid"] == 21030
    refused = "Account fading refused: claim uidNumber is missing"
    assert facility.hub.log[before:].count(refused) == 1
    with pytest.raises(LoginFailed, match="uidNumber is missing"):
        facility.log_in("fading")
    facility.provider.change("fading", uidNumber=21030)
    time.sleep(STALE)
    assert facility.inside(client)
    assert facility.hub.user("fading")["auth_state"]["no_start"] == ""


def test_a_uid_that_changes_waits_for_the_sessions_to_stop(facility, running):
    facility.provider.add("mover", 21040)
    client = facility.log_in("mover")
    running("mover")
    facility.provider.change("mover", uidNumber=21041, gidNumber=21041, experiments=["E-1"])
    time.sleep(STALE)
    assert facility.inside(client)
    user = facility.hub.user("mover")
    assert (user["auth_state"]["account"]["uid"], user["auth_state"]["account"]["gid"]) == (21040, 21040)
    assert "experiment-E-1" in user["groups"]
    answer = start(facility, "mover", "two")
    assert answer.status_code == 403
    assert "has changed from 21040 to 21041. Stop your sessions" in answer.json()["message"]
    assert "Account mover: claim uidNumber has changed from 21040 to 21041" in facility.hub.log
    facility.log_in("mover")
    assert facility.hub.user("mover")["auth_state"]["account"]["uid"] == 21040
    facility.hub.api("DELETE", "users/mover/servers/one")
    assert eventually(lambda: "one" not in facility.hub.user("mover")["servers"])
    time.sleep(STALE)
    assert facility.inside(client)
    account = facility.hub.user("mover")["auth_state"]["account"]
    assert (account["uid"], account["gid"]) == (21041, 21041)
    running("mover", "two")


def test_a_uid_that_moves_onto_anothers_is_refused_at_refresh_too(facility):
    facility.provider.add("first", 21050)
    facility.provider.add("second", 21051)
    facility.log_in("first")
    client = facility.log_in("second")
    facility.provider.change("second", uidNumber=21050)
    time.sleep(STALE)
    assert facility.inside(client)
    assert facility.hub.user("second")["auth_state"]["account"]["uid"] == 21051
    answer = start(facility, "second")
    assert answer.status_code == 403 and "belongs to another account" in answer.json()["message"]
    assert (
        "Account second refused: claim uidNumber is 21050, which belongs to another account (held by first)"
        in (facility.hub.log)
    )


def test_tokens_that_answer_for_somebody_else_end_the_login(facility):
    facility.provider.add("renamed", 21060)
    client = facility.log_in("renamed")
    facility.provider.change("renamed", preferred_username="other-name")
    time.sleep(STALE)
    assert not facility.inside(client)
    assert "The login of renamed has ended: the account has another name now" in facility.hub.log


def test_accounts_and_uids_outlive_a_restart_of_the_hub(facility):
    facility.provider.add("keeper", 21070)
    client = facility.log_in("keeper")
    facility.provider.stop()
    facility.hub.stop()
    facility.hub.start()
    assert facility.inside(client), "nobody is logged out by a hub that cannot ask"
    facility.provider.start()
    facility.provider.add("taker", 21070)
    time.sleep(STALE)
    with pytest.raises(LoginFailed, match="belongs to another account"):
        facility.log_in("taker")
