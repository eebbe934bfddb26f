"""The provider's signed word on who logged in: signature, issuer, audience, times and nonce."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

#: Signatures that are accepted. Those with a shared secret, and none at all, never are.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: How far the provider's clock may be from ours, in seconds.
LEEWAY = 60


class TokenRefused(Exception):
    """A token that proves nothing; the text says why, for the operator."""


class UnknownKey(TokenRefused):
    """Signed with a key that the key set at hand lacks: the provider may have changed its keys."""


def nonce_from(code_verifier: str) -> str:
    """The nonce of the login that this PKCE verifier belongs to.

    Derived from the secret that only this browser's signed cookie and the hub hold, so that nothing more
    has to be kept between the two halves of a login.
    """
    return hashlib.sha256(b"nonce:" + code_verifier.encode()).hexdigest()


def verify_id_token(
    token: Any, key_set: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """The claims of an id token, once everything about it holds.

    Raises UnknownKey when the key set has no key for it, TokenRefused when anything else is wrong.
    """
    if not isinstance(token, str):
        raise TokenRefused("the provider gave no id token; is the scope openid asked for?")
    try:
        header = jwt.get_unverified_header(token)
        key = key_for(header, jwt.PyJWKSet.from_dict(dict(key_set)).keys)
        claims = jwt.decode(
            token,
            key=key,
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise TokenRefused(f"the id token does not hold: {error}") from error
    _check_party(claims, client_id)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenRefused("the id token's nonce is not that of this login")
    return claims


def key_for(header: Mapping[str, Any], keys: Sequence[jwt.PyJWK]) -> jwt.PyJWK:
    """The one key that this header can mean; raises UnknownKey."""
    usable = [key for key in keys if key.public_key_use in (None, "sig")]
    if "kid" in header:
        usable = [key for key in usable if key.key_id == header["kid"]]
    if len(usable) != 1:
        raise UnknownKey(f"{len(usable)} of the provider's keys fit the token, not one")
    return usable[0]


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise TokenRefused("the id token was made for another client")
