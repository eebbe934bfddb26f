"""The provider tells, server to server, that a login is over (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from urllib.parse import parse_qs

from jupyterhub.handlers import BaseHandler
from tornado import web

from .idtoken import TokenRefused
from .provider import ProviderDown, ProviderRefused

#: Longest body that is read, in bytes; a logout token takes about one thousand.
LONGEST = 16_384
FORM = "application/x-www-form-urlencoded"


@web.stream_request_body
class BackchannelLogoutHandler(BaseHandler):
    """`POST backchannel_logout`: 204 when nobody is logged in any more by what the token names, else 400.

    Nobody's cookie or token counts here: the provider's signature does. The body is read piece by piece,
    since the hub would take a hundred megabytes from anybody first.
    """

    _accept_cookie_auth = _accept_token_auth = False

    def check_xsrf_cookie(self):
        """It comes from a server, which has no cookies, and is signed."""

    def set_default_headers(self):
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    async def prepare(self):
        self._body = b""
        self.request.connection.set_max_body_size(LONGEST)
        if int(self.request.headers.get("Content-Length", 0)) > LONGEST:
            raise web.HTTPError(400, "the request is too long")
        await super().prepare()

    def data_received(self, chunk: bytes):
        self._body += chunk

    async def post(self):
        try:
            claims = await self.authenticator.provider.verified_logout(self._logout_token())
            await self.authenticator.logouts.told(claims, self)
        except TokenRefused as error:
            raise web.HTTPError(400, str(error)) from error
        except (ProviderDown, ProviderRefused) as error:
            self.log.warning("A logout cannot be verified: %s", error)
            raise web.HTTPError(400, "the provider's keys are not to be had: send it again") from error
        self.set_status(204)

    def _logout_token(self) -> str:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise TokenRefused(f"the request is no {FORM}")
        try:
            given = parse_qs(self._body.decode("ascii"), max_num_fields=20).get("logout_token", [])
        except ValueError as error:
            raise TokenRefused("the request is not readable") from error
        if len(given) != 1:
            raise TokenRefused(f"the request has {len(given)} parameters logout_token, not one")
        return given[0]

    def write_error(self, status_code, **others):
        error = (others.get("exc_info") or (None, None))[1]
        words = error.log_message if isinstance(error, web.HTTPError) else None
        self.set_header("Content-Type", "application/json")
        self.finish(
            {
                "error": "invalid_request" if status_code < 500 else "server_error",
                "error_description": words or self._reason,
            }
        )
