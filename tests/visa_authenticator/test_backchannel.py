"""Back-channel logout: the provider's word ends a login at the hub at once, and nobody else's does."""

import json
import secrets
import signal
import socket
import sqlite3
import threading
import time

import httpx
import jwt
import pytest
from facility import eventually

from demo.login import LoginFailed, Page, browser, token_for
from visa_authenticator.backchannel import LONGEST
from visa_authenticator.logouttoken import EVENT


@pytest.fixture
def address(facility):
    return f"{facility.site}/hub/backchannel_logout"


@pytest.fixture
def logout_token(facility):
    """Make logout tokens as the provider would, with its own key."""

    def make(**changes):
        with sqlite3.connect(facility.provider.state) as store:
            (text,) = store.execute("SELECT value FROM secrets WHERE name = 'jwks'").fetchone()
        key = json.loads(text)["keys"][0]
        now = int(time.time())
        claims = {
            "iss": facility.provider.issuer,
            "aud": "visa",
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "events": {EVENT: {}},
        }
        headers = {"kid": key["kid"], "typ": "logout+jwt"}
        return jwt.encode(claims | changes, jwt.PyJWK(key).key, "RS256", headers=headers)

    return make


def vouched_for(facility, name: str) -> bool:
    return facility.hub.user(name)["auth_state"] is not None


def logged_out_elsewhere(facility, client) -> None:
    """Log out at the provider alone, as from another application of the facility."""
    page = client.get(f"{facility.provider.issuer}/session/end")
    form = Page(page.text)
    client.post(form.action, data={**form.fields, "logout": "yes"})


def test_a_blocked_account_is_out_at_once_and_its_session_runs_on(facility):
    facility.provider.add("blocked", 26001)
    client = facility.log_in("blocked")
    for_app, own = facility.app_token(client), token_for(client, facility.site, "blocked", "test")
    facility.seen.add(own)
    assert facility.hub.api("POST", "users/blocked/servers/one").status_code in (201, 202)
    assert eventually(lambda: facility.hub.user("blocked")["servers"].get("one", {}).get("ready"), 20)
    assert facility.works(for_app) and facility.works(own)
    before = len(facility.hub.log)
    begun = time.monotonic()
    assert facility.provider.block("blocked"), "the hub was told, and said that it is done"
    assert not vouched_for(facility, "blocked")
    assert not facility.works(for_app) and not facility.works(own) and not facility.inside(client)
    assert time.monotonic() - begun < 1
    notes = [token["note"] for token in facility.hub.api("GET", "users/blocked/tokens").json()["api_tokens"]]
    assert any(note.startswith("Server at") for note in notes), "the session keeps its own token"
    assert facility.hub.user("blocked")["servers"]["one"]["ready"]
    assert facility.hub.api("POST", "users/blocked/servers/two").status_code == 403
    log = facility.hub.log[before:]
    assert log.count("The login of blocked has ended: the provider logged it out") == 1
    assert "Traceback" not in log
    with pytest.raises(LoginFailed, match="This account is blocked"):
        facility.log_in("blocked", browser())
    facility.provider.unblock("blocked")
    assert not facility.inside(client), "a login that was ended does not come back by itself"
    again = client.get(f"{facility.site}/hub/oauth_login")
    assert "password" in Page(again.text).fields, "nor does the provider's"
    assert facility.inside(facility.log_in("blocked", browser()))
    facility.hub.api("DELETE", "users/blocked/servers/one")


def test_a_block_without_a_hub_still_holds_when_the_hub_is_back(facility):
    facility.provider.add("offline", 26002)
    client = facility.log_in("offline")
    facility.hub.stop()
    try:
        assert facility.provider.block("offline") is False
    finally:
        facility.hub.start()
    assert eventually(lambda: not facility.inside(client))
    assert not vouched_for(facility, "offline")


def test_one_browser_logged_out_elsewhere_leaves_the_other(facility):
    facility.provider.add("twice", 26003)
    one, other = facility.log_in("twice", browser()), facility.log_in("twice", browser())
    token_one, token_other = facility.app_token(one), facility.app_token(other)
    logged_out_elsewhere(facility, one)
    assert not facility.works(token_one) and not facility.inside(one)
    assert facility.works(token_other) and vouched_for(facility, "twice")
    facility.log_in("twice", other)  # the provider lets it in without a password
    assert facility.inside(other) and facility.works(token_other)


def test_a_provider_that_has_ended_the_account_too_is_asked(facility, logout_token, address):
    facility.provider.add("askme", 26004)
    facility.log_in("askme")
    (sid,) = facility.remember("askme")["browsers"]
    facility.provider.remove("askme")
    sent = httpx.post(address, data={"logout_token": logout_token(sid=sid)})
    assert sent.status_code == 204
    assert eventually(lambda: not vouched_for(facility, "askme")), "and it was the provider's word"


def test_who_logs_out_at_the_hub_disturbs_no_other_browser(facility):
    facility.provider.add("polite", 26005)
    one, other = facility.log_in("polite", browser()), facility.log_in("polite", browser())
    page = one.get(f"{facility.site}/hub/logout")
    form = Page(page.text)
    one.post(form.action, data={**form.fields, "logout": "yes"})
    assert not facility.inside(one)
    assert facility.inside(other) and vouched_for(facility, "polite")


def test_a_token_for_the_account_ends_it_whatever_browsers_there_are(facility, logout_token, address):
    facility.provider.add("several", 26006)
    clients = [facility.log_in("several", browser()) for _ in range(2)]
    sent = httpx.post(address, data={"logout_token": logout_token(sub="subject-of-several")})
    assert sent.status_code == 204 and sent.content == b""
    assert sent.headers["Cache-Control"] == "no-store"
    assert not any(facility.inside(client) for client in clients)
    again = httpx.post(address, data={"logout_token": logout_token(sub="subject-of-several")})
    assert again.status_code == 204, "to be logged out already is as good"
    assert httpx.post(address, data={"logout_token": logout_token(sub="nobody")}).status_code == 204
    assert httpx.post(address, data={"logout_token": logout_token(sid="no-such")}).status_code == 204


def test_only_the_providers_word_counts_and_only_once(facility, logout_token, address):
    facility.provider.add("steady", 26007)
    client = facility.log_in("steady")
    good = {"sub": "subject-of-steady"}
    token = logout_token(**good)
    with_id_token = facility.remember("steady")["access_token"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    bad = {
        "nothing": {"data": {}},
        "no token": {"data": {"logout_token": "x"}},
        "an access token": {"data": {"logout_token": with_id_token}},
        "another audience": {"data": {"logout_token": logout_token(**good, aud="other")}},
        "a nonce": {"data": {"logout_token": logout_token(**good, nonce="n")}},
        "cut short": {"data": {"logout_token": token[:-3]}},
        "two": {"content": f"logout_token={token}&logout_token={token}", "headers": form},
        "json": {"json": {"logout_token": token}},
        "in the address": {"params": {"logout_token": token}, "data": {}},
        "too long": {"data": {"logout_token": token, "more": "x" * LONGEST}},
        "too many fields": {"content": "&".join(["a=1"] * 30), "headers": form},
        "not ascii": {"content": b"logout_token=\xff\xfe", "headers": form},
    }
    for what, request in bad.items():
        answer = httpx.post(address, **request)
        assert answer.status_code == 400, what
        assert answer.json()["error"] == "invalid_request" and answer.json()["error_description"], what
        assert answer.headers["Cache-Control"] == "no-store", what
    assert httpx.get(address, params={"logout_token": token}).status_code == 405
    assert facility.inside(client), "none of these logged anybody out"
    assert client.post(address, data={}).status_code == 400, "also from a browser that is logged in"

    assert httpx.post(address, data={"logout_token": token}).status_code == 204
    assert not facility.inside(client)
    facility.log_in("steady", client)
    replayed = httpx.post(address, data={"logout_token": token})
    assert replayed.status_code == 400 and "came before" in replayed.json()["error_description"]
    assert facility.inside(client)


def test_a_body_without_an_end_is_cut_off(facility):
    """Pieces without a length: the hub reads no more than it has to, whatever is sent."""
    known = json.loads((facility.hub.log_file.parent / "known.json").read_text())
    with socket.create_connection(("127.0.0.1", known["hub_port"]), timeout=10) as one:
        one.sendall(
            b"POST /hub/backchannel_logout HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 100 * LONGEST:
                one.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
                time.sleep(0.001)  # lets the hub close, which the next write then meets
            one.recv(1)
        except OSError:
            pass
        assert sent < 100 * LONGEST


def test_a_refresh_under_way_brings_no_ended_login_back(facility, logout_token, address):
    facility.provider.add("slow", 26008)
    client = facility.log_in("slow")
    token = logout_token(sub="subject-of-slow")
    time.sleep(2.1)  # the access token has aged: the refresh token is going to be spent
    assert httpx.post(address, data={}).status_code == 400  # the hub has the provider's keys
    facility.provider.signal(signal.SIGSTOP)
    try:
        asking = threading.Thread(target=facility.inside, args=(client,))
        asking.start()
        time.sleep(0.3)  # its question to the silent provider is out: nothing else tells
        assert httpx.post(address, data={"logout_token": token}).status_code == 204
        assert not vouched_for(facility, "slow")
    finally:
        facility.provider.signal(signal.SIGCONT)
    asking.join()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert not facility.inside(client)
        time.sleep(0.2)  # it must stay so for a while, not only at once
    assert not vouched_for(facility, "slow")
