"""The id token: everything about it has to hold."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from visa_authenticator.idtoken import TokenRefused, UnknownKey, nonce_from, verify_id_token

KEY, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
NONCE = nonce_from("verifier")
EXPECTED = {"issuer": "https://login.example", "client_id": "visa", "nonce": NONCE}


def public(key, kid):
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


KEYS = {"keys": [public(KEY, "one"), public(OTHER, "two")]}


def signed(claims, key=KEY, algorithm="RS256", headers=None):
    """A signed token of these claims, without those that are None."""
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": "one", **(headers or {})})


def token(*arguments, headers=None, **changes):
    now = int(time.time())
    claims = {
        "iss": "https://login.example",
        "sub": "s",
        "aud": "visa",
        "iat": now,
        "exp": now + 300,
        "nonce": NONCE,
    }
    return signed(claims | changes, *arguments, headers=headers)


def test_a_good_token_gives_its_claims():
    assert verify_id_token(token(), KEYS, **EXPECTED)["sub"] == "s"
    assert verify_id_token(token(aud=["visa", "other"], azp="visa"), KEYS, **EXPECTED)["sub"] == "s"


PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BAD = {
    "no token": None,
    "no signature": token(None, "none"),
    "a shared secret": token("x" * 64, "HS256"),
    "another key": token(OTHER),
    "another issuer": token(iss="https://elsewhere.example"),
    "another client": token(aud="other"),
    "for several, for nobody in particular": token(aud=["visa", "other"]),
    "for another party": token(azp="other"),
    "expired": token(exp=int(time.time()) - 120),
    "from the future": token(iat=int(time.time()) + 3600),
    "never expires": token(exp=None),
    "about nobody": token(sub=None),
    "no nonce": token(nonce=None),
    "another nonce": token(nonce=nonce_from("other")),
    "a nonce of another kind": token(nonce=5),
    "cut short": token()[:-4],
    "garbage": "a.b.c",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(bad):
    with pytest.raises(TokenRefused) as refused:
        verify_id_token(bad, KEYS, **EXPECTED)
    assert not isinstance(refused.value, UnknownKey)


def test_a_public_key_is_no_shared_secret():
    import base64
    import hashlib
    import hmac

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(b'{"alg":"HS256","kid":"one"}') + b"." + token().split(".")[1].encode()
    forged = body + b"." + part(hmac.new(PEM, body, hashlib.sha256).digest())
    with pytest.raises(TokenRefused):
        verify_id_token(forged.decode(), KEYS, **EXPECTED)


def test_an_unknown_key_is_said_apart():
    with pytest.raises(UnknownKey):
        verify_id_token(token(headers={"kid": "three"}), KEYS, **EXPECTED)
