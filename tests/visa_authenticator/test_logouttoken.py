"""The logout token: everything about it has to hold."""

import time

import pytest
from test_idtoken import KEYS, OTHER, signed

from visa_authenticator.idtoken import TokenRefused, UnknownKey
from visa_authenticator.logouttoken import EVENT, LIFE, Once, verify_logout_token

EXPECTED = {"issuer": "https://login.example", "client_id": "visa"}


def token(*arguments, **changes):
    now = int(time.time())
    claims = {
        "iss": "https://login.example",
        "sub": "s",
        "aud": "visa",
        "iat": now,
        "exp": now + 120,
        "jti": "one",
        "events": {EVENT: {}},
    }
    headers = {"typ": "logout+jwt", **changes.pop("headers", {})}
    return signed(claims | changes, *arguments, headers=headers)


@pytest.mark.parametrize(
    "changes",
    [{}, {"sub": None, "sid": "x"}, {"sid": "x"}, {"exp": None}, {"headers": {"typ": "JWT"}}],
    ids=["account", "session", "both", "without an end", "of no kind"],
)
def test_a_good_token_gives_its_claims(changes):
    assert verify_logout_token(token(**changes), KEYS, **EXPECTED)["jti"] == "one"


BAD = {
    "no token": None,
    "no signature": token(None, "none"),
    "a shared secret": token("x" * 64, "HS256"),
    "another key": token(OTHER),
    "another issuer": token(iss="https://elsewhere.example"),
    "another client": token(aud="other"),
    "expired": token(exp=int(time.time()) - 120),
    "from the future": token(iat=int(time.time()) + 3600),
    "old": token(iat=int(time.time()) - LIFE - 120, exp=None),
    "without a time": token(iat=None),
    "about nobody": token(sub=None),
    "about nobody's text": token(sub=5),
    "about an empty session": token(sid=""),
    "without a number": token(jti=None),
    "numbered by a number": token(jti=7),
    "of no event": token(events=None),
    "of another event": token(events={"http://schemas.openid.net/event/other": {}}),
    "of a list of events": token(events=[EVENT]),
    "of an event that is no object": token(events={EVENT: True}),
    "with a nonce": token(nonce="n"),
    "with an empty nonce": token(nonce=""),
    "an access token": token(headers={"typ": "at+jwt"}),
    "cut short": token()[:-4],
    "garbage": "a.b.c",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(bad):
    with pytest.raises(TokenRefused) as refused:
        verify_logout_token(bad, KEYS, **EXPECTED)
    assert not isinstance(refused.value, UnknownKey)


def test_an_unknown_key_is_said_apart():
    with pytest.raises(UnknownKey):
        verify_logout_token(token(headers={"kid": "three"}), KEYS, **EXPECTED)


def test_each_token_is_taken_once_and_forgotten_when_too_old(monkeypatch):
    once = Once()
    once.take({"jti": "one"})
    once.take({"jti": "two"})
    with pytest.raises(TokenRefused):
        once.take({"jti": "one"})
    later = time.monotonic() + 2 * LIFE
    monkeypatch.setattr("visa_authenticator.logouttoken.time.monotonic", lambda: later)
    once.take({"jti": "one"})
