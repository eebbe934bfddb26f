"""All that is said to the identity provider, and how its answers are understood.

Two kinds of bad news are kept apart everywhere: a provider that does not answer says nothing about
anybody, a provider that refuses does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from . import meters
from .idtoken import UnknownKey, verify_id_token
from .logouttoken import verify_logout_token

#: How long what the provider says of itself, and its keys, are used without asking again, in seconds.
METADATA_AGE = 3600
#: A key that is not known makes us ask again, but not more often than this, in seconds.
KEYS_PAUSE = 30
#: Seconds that exchanging a code or a refresh token may take. Longer than other questions: once sent, a
#: refresh token may be spent, and giving up early loses its successor.
TOKEN_TIMEOUT = 30
#: After a failure, everybody who asks within so many seconds is told the same, without waiting.
FAILURE_AGE = 1
_REQUIRED = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")


class ProviderDown(Exception):
    """The provider did not answer, or not as a provider does; says nothing about any account.

    `silent`: it did not answer at all, so that asking again soon would only make somebody wait.
    """

    def __init__(self, words: str, *, silent: bool = False):
        super().__init__(words)
        self.silent = silent


class ProviderRefused(Exception):
    """The provider's own no; `error` is its OAuth error code, such as `invalid_grant`."""

    def __init__(self, error: str, description: str = ""):
        super().__init__(f"{error}: {description}" if description else error)
        self.error = error


@dataclass(frozen=True)
class Tokens:
    """What the provider gave for a code or a refresh token; all of it is secret."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    scope: tuple[str, ...]


def check_address(name: str, address: str) -> str:
    """The address, if nobody on the way can read what is sent there: https, or this machine itself.

    Raises ValueError, naming the setting, otherwise.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    here = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise ValueError(f"{name} must be an https address, not {address!r}")
    return address


class Provider:
    """One identity provider, found by its issuer's address alone, and asked only when needed.

    `overrides` are endpoints that the site's settings name themselves, by their discovery names.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: str,
        http: AsyncHTTPClient,
        request_options: Mapping[str, Any],
        timeout: float,
        basic_auth: bool,
        overrides: Mapping[str, str],
    ):
        self._issuer = issuer.rstrip("/")
        self._client_id, self._client_secret = client_id, client_secret
        self._http, self._options, self._timeout = http, dict(request_options), timeout
        self._basic_auth = basic_auth
        self._overrides = overrides
        self._metadata: dict[str, Any] = {}
        self._metadata_at = self._failed_at = -float("inf")
        self._failure = ""
        self._keys: dict[str, Any] = {}
        self._keys_at = -float("inf")
        self._lock = asyncio.Lock()

    async def metadata(self) -> dict[str, Any]:
        """What the provider says of itself; raises ProviderDown while it has never answered."""
        async with self._lock:
            now = time.monotonic()
            if now - self._metadata_at > METADATA_AGE and now - self._failed_at > FAILURE_AGE:
                try:
                    self._metadata = await self._discover()
                    self._metadata_at = time.monotonic()
                except (ProviderDown, ProviderRefused) as error:
                    self._failed_at, self._failure = time.monotonic(), str(error)
            if not self._metadata:
                raise ProviderDown(self._failure, silent=True)
            return self._metadata

    async def _discover(self) -> dict[str, Any]:
        found = await self._ask(f"{self._issuer}/.well-known/openid-configuration")
        found.update(self._overrides)
        if str(found.get("issuer", "")).rstrip("/") != self._issuer:
            raise ProviderDown("its discovery document names another issuer")
        try:
            for name in _REQUIRED:
                check_address(name, str(found.get(name, "")))
            if "end_session_endpoint" in found:
                check_address("end_session_endpoint", str(found["end_session_endpoint"]))
        except ValueError as error:
            raise ProviderDown(f"its discovery document is not usable: {error}") from error
        return found

    async def keys(self) -> dict[str, Any]:
        """The keys that it signs with, as it shows them; raises ProviderRefused or ProviderDown."""
        return await self._key_set(METADATA_AGE)

    async def exchange(self, code: str, code_verifier: str, redirect_uri: str) -> Tokens:
        """Tokens for the code that a browser brought back; raises ProviderRefused or ProviderDown."""
        return await self._token(
            grant_type="authorization_code",
            code=code,
            code_verifier=code_verifier,
            redirect_uri=redirect_uri,
        )

    async def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which may be spent by this.

        Raises ProviderRefused or ProviderDown.
        """
        return await self._token(grant_type="refresh_token", refresh_token=refresh_token)

    async def _token(self, **form: str) -> Tokens:
        headers = {}
        if self._basic_auth:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form.update(client_id=self._client_id, client_secret=self._client_secret)
        address = (await self.metadata())["token_endpoint"]
        found = await self._ask(address, form=form, headers=headers, timeout=TOKEN_TIMEOUT)
        access_token = found.get("access_token")
        if not isinstance(access_token, str) or str(found.get("token_type", "")).lower() != "bearer":
            raise ProviderDown("it gave no bearer token")
        return Tokens(
            access_token=access_token,
            refresh_token=found.get("refresh_token"),
            id_token=found.get("id_token"),
            scope=tuple(str(found.get("scope", "")).split()),
        )

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """The account's claims as they are now; raises ProviderRefused or ProviderDown."""
        address = (await self.metadata())["userinfo_endpoint"]
        return await self._ask(address, headers={"Authorization": f"Bearer {access_token}"})

    async def verified(self, id_token: Any, nonce: str) -> dict[str, Any]:
        """The claims of an id token; raises TokenRefused, or ProviderDown when the keys are not to be had."""
        return await self._verified(verify_id_token, id_token, nonce=nonce)

    async def verified_logout(self, logout_token: Any) -> dict[str, Any]:
        """The claims of a logout token; raises like `verified`."""
        return await self._verified(verify_logout_token, logout_token)

    async def _verified(self, verify: Callable[..., dict[str, Any]], token: Any, **expected: str):
        expected |= {"issuer": (await self.metadata())["issuer"], "client_id": self._client_id}
        try:
            return verify(token, await self._key_set(METADATA_AGE), **expected)
        except UnknownKey:
            return verify(token, await self._key_set(KEYS_PAUSE), **expected)

    async def _key_set(self, age: float) -> dict[str, Any]:
        if time.monotonic() - self._keys_at > age:
            self._keys = await self._ask((await self.metadata())["jwks_uri"])
            self._keys_at = time.monotonic()
        return self._keys

    async def _ask(
        self,
        address: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """One question, answered with a JSON object; what the answer says is never put into a log."""
        options = {
            **self._options,
            "method": "GET" if form is None else "POST",
            "body": None if form is None else urlencode(form),
            "headers": {"Accept": "application/json", "User-Agent": "VISA", **(headers or {})},
            "connect_timeout": self._timeout,
            "request_timeout": timeout or self._timeout,
            "follow_redirects": False,  # never carry a token to where a redirect points
        }
        try:
            response = await self._http.fetch(HTTPRequest(address, **options), raise_error=False)
        except (HTTPClientError, OSError) as error:
            meters.SILENT.inc()
            raise ProviderDown(f"{_place(address)} does not answer: {error}", silent=True) from error
        try:
            found = json.loads(response.body or b"{}")
        except ValueError:
            found = None
        if 400 <= response.code < 500 and response.code not in (404, 408, 429):
            details = found if isinstance(found, dict) else {}
            error = str(details.get("error") or f"status {response.code}")[:80]
            meters.ANSWERED.inc()
            raise ProviderRefused(error, str(details.get("error_description", ""))[:200])
        if response.code != 200 or not isinstance(found, dict):
            meters.SILENT.inc()
            raise ProviderDown(f"{_place(address)} answered with status {response.code} and no JSON object")
        meters.ANSWERED.inc()
        return found


def _place(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
