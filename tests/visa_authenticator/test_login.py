"""Logging in through the real provider and a real hub."""

import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from demo.login import LoginFailed, Page, browser, log_in, token_for


def without(*names, **others):
    """Change an address: drop some parameters of its query, set others."""

    def change(address):
        parts = urlsplit(address)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in names]
        query = [(name, others.pop(name, value)) for name, value in query]
        return parts._replace(query=urlencode(query)).geturl()

    return change


@pytest.fixture(scope="module")
def ada(facility):
    """A browser in which ada is logged in, so that her uid is hers."""
    return facility.log_in("ada")


def test_hub_starts_without_provider_and_says_so(facility, words):
    answer = facility.without_provider
    assert answer.status_code == 503
    assert "The facility's login does not answer" in words(answer)
    assert "Try again in a minute" in words(answer)


def test_login_gives_account_groups_and_no_admin_right(facility):
    facility.log_in("ada")
    user = facility.hub.user("ada")
    assert sorted(user["groups"]) == ["experiment-ES-22", "experiment-MX-1001", "role-scientist"]
    assert user["admin"] is False
    assert user["auth_state"]["account"] == {
        "username": "ada",
        "name": "Ada Test",
        "email": "ada@example.org",
        "uid": 20001,
        "gid": 20001,
        "gids": [30001],
        "home": "/data/home/ada",
        "roles": ["scientist"],
        "teams": ["ES-22", "MX-1001"],
        "instruments": [],
    }


def test_no_role_makes_a_hub_admin_and_a_role_group_carries_hub_rights(facility):
    facility.provider.add("boss", 20002, roles=["administrator"])
    facility.provider.add("hedy", 20003, roles=["helpdesk", "moon-walker"], instruments=["id19"])
    facility.log_in("boss")
    client = facility.log_in("hedy")
    assert facility.hub.user("boss")["admin"] is False
    assert facility.hub.user("boss")["groups"] == ["role-administrator"]
    assert sorted(facility.hub.user("hedy")["groups"]) == ["instrument-id19", "role-helpdesk"]
    token = token_for(client, facility.site, "hedy", "test")
    facility.seen.add(token)
    answer = httpx.get(f"{facility.site}/hub/api/users", headers={"Authorization": f"token {token}"})
    assert {user["name"] for user in answer.json()} >= {"boss", "hedy"}
    assert "Account hedy: claim roles has an unknown role, 'moon-walker'; left out" in facility.hub.log


def test_wrong_password_is_said_and_slowed_down(facility):
    facility.provider.add("guessed", 20004)
    for name in ("guessed", "nobody-at-all"):
        for _ in range(5):
            with pytest.raises(LoginFailed, match="do not belong together"):
                log_in(browser(), facility.site, name, "wrong password 1")
        with pytest.raises(LoginFailed, match="Wait [12] seconds"):
            log_in(browser(), facility.site, name, "wrong password 1")
    with pytest.raises(LoginFailed, match="Too many wrong tries"):
        facility.log_in("guessed")
    time.sleep(2)
    facility.log_in("guessed")
    assert 'unknown account or wrong password {"account":"guessed"}' in facility.provider.log
    facility.seen.add("wrong password 1")


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"uidNumber": None}, "uidNumber is missing"),
        ({"uidNumber": 0}, "uidNumber is 0, below the lowest allowed, 1000"),
        ({"uidNumber": "20100"}, "uidNumber is not a whole number"),
        ({"uidNumber": True}, "uidNumber is not a whole number"),
        ({"uidNumber": 2**32}, "uidNumber is above the highest possible"),
        ({"uidNumber": 20001}, "uidNumber is 20001, which belongs to another account"),
        ({"gidNumber": 0}, "gidNumber is 0, below"),
        ({"gidNumbers": [30001, 0]}, "gidNumbers is 0, below"),
        ({"homeDirectory": "/data/home/../../etc"}, "homeDirectory has an empty, '.' or '..' part"),
        ({"homeDirectory": "/data/home/odd\n"}, "homeDirectory has a sign that no home has"),
        ({"preferred_username": "Odd"}, "preferred_username does not match"),
        ({"preferred_username": "../odd"}, "preferred_username does not match"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_absurd_claim_refuses_the_login(facility, ada, claims, said):
    facility.provider.add("odd", 20100)
    facility.provider.change("odd", **claims)
    before = len(facility.hub.log)
    with pytest.raises(LoginFailed) as refused:
        facility.log_in("odd")
    assert "403" in str(refused.value)
    assert f"Your account cannot be used here: {said}" in str(refused.value)
    assert "Ask the facility's user office to correct the account, then log in again." in str(refused.value)
    assert "ada" not in str(refused.value)
    log = facility.hub.log[before:]
    warnings = [line for line in log.splitlines() if "refused: claim" in line]
    assert len(warnings) == 1 and said in warnings[0] and "odd" in warnings[0].lower(), log
    assert warnings[0].startswith("[W ")
    assert ("held by ada" in log) == ("another account" in said)
    assert "Traceback" not in log
    assert facility.hub.api("GET", "users/odd").status_code == 404


def test_deleting_an_account_frees_its_uid(facility):
    facility.provider.add("leaver", 20200)
    facility.provider.add("joiner", 20200)
    facility.log_in("leaver")
    with pytest.raises(LoginFailed, match="belongs to another account"):
        facility.log_in("joiner")
    assert facility.hub.api("DELETE", "users/leaver").status_code == 204
    facility.log_in("joiner")


@pytest.mark.parametrize("spoil", ["state", "browser", "missing state"])
def test_a_callback_of_another_login_is_refused(facility, words, spoil):
    client, other = browser(), browser()
    address = facility.callback_of(client, "ada")
    other.get(f"{facility.site}/hub/oauth_login", follow_redirects=False)
    if spoil == "state":
        begun = client.get(f"{facility.site}/hub/oauth_login", follow_redirects=False)
        foreign = dict(parse_qsl(urlsplit(facility.callback_of(other, "ada")).query))["state"]
        assert begun.is_redirect
        answer = client.get(without(state=foreign)(address))
    elif spoil == "browser":
        answer = other.get(address)
    else:
        answer = client.get(without("state")(address))
    assert answer.status_code == 400
    assert "was not started in this browser" in words(answer)
    assert not facility.inside(client) and not facility.inside(other)


def test_a_stolen_code_is_worth_nothing_in_another_browser(facility, words):
    client, thief = browser(), browser()
    stolen = dict(parse_qsl(urlsplit(facility.callback_of(client, "ada")).query))["code"]
    facility.provider.add("thief", 20300)
    own = facility.callback_of(thief, "thief")
    answer = thief.get(without(code=stolen)(own))
    assert answer.status_code == 403 and "could not be verified" in words(answer)
    assert "A login failed: invalid_grant" in facility.hub.log


def test_another_nonce_is_refused(facility, words):
    client = browser()
    address = facility.callback_of(client, "ada", without(nonce="0" * 64))
    answer = client.get(address)
    assert answer.status_code == 403 and "could not be verified" in words(answer)
    assert "A login failed: the id token's nonce is not that of this login" in facility.hub.log
    assert not facility.inside(client)


def test_another_sender_is_refused(facility, words):
    client = browser()
    address = facility.callback_of(client, "ada")
    answer = client.get(without(iss="https://elsewhere.example")(address))
    assert answer.status_code == 403 and "could not be verified" in words(answer)


def test_provider_insists_on_pkce(facility, words):
    client = browser()
    begun = client.get(f"{facility.site}/hub/oauth_login", follow_redirects=False)
    assert "code_challenge_method=S256" in begun.headers["location"]
    answer = client.get(without("code_challenge", "code_challenge_method")(begun.headers["location"]))
    assert answer.status_code == 403
    assert "The facility's login said no (invalid_request)" in words(answer)


def test_a_foreign_error_text_never_reaches_the_page(facility, words):
    answer = browser().get(f"{facility.site}/hub/oauth_callback?error=<b>pay me</b>&state=e30=")
    assert answer.status_code == 400 and "pay me" not in answer.text


def test_logout_leads_through_the_provider_and_back(facility):
    client = facility.log_in("ada")
    page = client.get(f"{facility.site}/hub/logout")
    assert str(page.url).startswith(facility.provider.issuer)
    assert "token" not in str(page.url)
    form = Page(page.text)
    back = client.post(form.action, data={**form.fields, "logout": "yes"})
    assert str(back.url).startswith(f"{facility.site}/hub/login")
    assert not facility.inside(client)
    again = client.get(f"{facility.site}/hub/oauth_login")
    assert "password" in Page(again.text).fields, "the provider asks for the password again"


def test_no_secret_in_any_log(facility):
    client = browser()
    client.get(facility.callback_of(client, "ada"))
    assert facility.inside(client)
    facility.remember("ada")
    assert len(facility.seen) > 4
    assert not facility.leaked()
