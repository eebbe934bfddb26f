"""Whether people can log in: what the facility's identity provider says of itself."""

from __future__ import annotations

from visa_authenticator.provider import Provider, ProviderDown, ProviderRefused, check_address
from visa_authenticator.secrets import read_secret

from ..finding import CannotLook, counted, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look

_STAY = "Who is logged in stays so, and sessions run on; nobody else gets in"


async def look(here: Installation) -> Look:
    """The discovery document and the keys, by the code that a login goes through."""
    if not here.has_own_login:
        yield fine("People log in otherwise than by OpenID Connect here.")
        return
    settings = here.login
    try:
        provider = _provider(here)
    except ValueError as error:
        yield wrong(f"{worded(error)}.", "Set it (docs/operators/login.md), and restart the hub.")
        return
    try:
        said = await provider.metadata()
        keys = await provider.keys()
    except (ProviderDown, ProviderRefused) as error:
        yield wrong(
            f"The identity provider cannot be used: {worded(error)}. {_STAY}.",
            f"`curl {settings.issuer.rstrip('/')}/.well-known/openid-configuration` from here; call those"
            " who run it.",
        )
        return
    faults = list(_faults(said, keys, settings.scope))
    for fault in faults:
        yield fault
    if not faults:
        yield fine(f"{settings.issuer} answers, with {counted(len(keys.get('keys', [])), 'key')} and PKCE.")


def _faults(said: dict, keys: dict, scope: list[str]):
    methods = said.get("code_challenge_methods_supported")
    if methods is None:
        yield warning(
            "The provider does not say that it supports PKCE, which VISA always uses.",
            "Try a login; where it fails, turn PKCE (S256) on for the client.",
        )
    elif "S256" not in methods:
        yield wrong(
            "The provider does not support PKCE by S256, which VISA always uses: nobody can log in.",
            "Turn it on for the client at the provider.",
        )
    if not any(isinstance(key, dict) and key.get("kty") for key in keys.get("keys") or []):
        yield wrong(
            f"The provider shows no keys at {said.get('jwks_uri')}, so no login can be verified.",
            "Call those who run the provider.",
        )
    known = said.get("scopes_supported")
    missing = sorted(set(scope) - set(known)) if isinstance(known, list) else []
    if missing:
        yield warning(
            f"The provider does not name the scope {', '.join(missing)} among those it has.",
            "Correct c.VisaAuthenticator.scope, or have the scope added: claims may be missing.",
        )
    if not said.get("backchannel_logout_supported"):
        yield warning(
            "The provider does not tell of logouts, so a blocked account stays in for up to five minutes.",
            "Turn back-channel logout on at the provider, where it has that (docs/operators/login.md).",
        )


def _provider(here: Installation) -> Provider:
    settings = here.login
    if not settings.issuer or not settings.client_id:
        raise ValueError("c.VisaAuthenticator has no issuer or no client_id")
    try:
        secret = read_secret(settings.client_secret_file) if settings.client_secret_file else ""
    except ValueError as error:
        raise CannotLook(worded(error), because="secrets") from error
    return Provider(
        check_address("issuer", settings.issuer),
        client_id=settings.client_id,
        client_secret=secret or settings.client_secret,
        http=settings.http_client,
        request_options=settings.http_request_kwargs,
        timeout=min(settings.provider_timeout, here.limit * 0.4),
        basic_auth=settings.basic_auth,
        overrides={},
    )
