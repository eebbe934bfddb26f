"""The provider's signed word that somebody's login is over (OpenID Connect Back-Channel Logout 1.0, 2.6)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jwt

from .idtoken import ALGORITHMS, LEEWAY, TokenRefused, key_for

EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: Oldest logout token that is believed, in seconds; so long is remembered which ones came.
LIFE = 600
#: More than this many within `LIFE` would be remembered by no provider's need; the oldest are forgotten.
_REMEMBERED = 100_000


def verify_logout_token(
    token: Any, key_set: Mapping[str, Any], *, issuer: str, client_id: str
) -> dict[str, Any]:
    """The claims of a logout token, once everything about it holds; `jti` is not looked at but to be there.

    Raises UnknownKey when the key set has no key for it, TokenRefused when anything else is wrong.
    """
    if not isinstance(token, str):
        raise TokenRefused("there is no logout token")
    try:
        header = jwt.get_unverified_header(token)
        if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in ("jwt", "logout+jwt"):
            raise TokenRefused("it is a token of another kind")
        key = key_for(header, jwt.PyJWKSet.from_dict(dict(key_set)).keys)
        claims = jwt.decode(
            token,
            key=key,
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "iat", "jti", "events"]},
        )
    except jwt.PyJWTError as error:
        raise TokenRefused(f"the logout token does not hold: {error}") from error
    if time.time() - claims["iat"] > LIFE + LEEWAY:
        raise TokenRefused("the logout token is too old")
    if "nonce" in claims:
        raise TokenRefused("a logout token has no nonce: this is a token of another kind")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise TokenRefused("the token does not say that somebody was logged out")
    for name in ("sub", "sid", "jti"):
        if name in claims and not (isinstance(claims[name], str) and 0 < len(claims[name]) <= 255):
            raise TokenRefused(f"{name} is no text")
    if "sub" not in claims and "sid" not in claims:
        raise TokenRefused("the token does not say who was logged out")
    return claims


class Once:
    """Takes each logout token once. A restart forgets: a token sent again then can only log out again."""

    def __init__(self):
        self._seen: dict[str, float] = {}

    def take(self, claims: Mapping[str, Any]) -> None:
        """Raises TokenRefused when this token came before."""
        now = time.monotonic()
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest] <= LIFE + 2 * LEEWAY and len(self._seen) < _REMEMBERED:
                break
            del self._seen[oldest]
        if claims["jti"] in self._seen:
            raise TokenRefused("the logout token came before")
        self._seen[claims["jti"]] = now
