"""The three pages of a login: the way to the provider, the way back, and the way out."""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import Any

from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado import web

from .idtoken import nonce_from

_ERROR_CODE = re.compile(r"[a-z_]{1,64}")
TITLES = {400: "Login expired", 403: "Login refused", 503: "Login not possible now"}
STALE_LOGIN = (
    "This login took too long, or was not started in this browser. Go back to VISA and log in again."
)


def said(status: int, words: str, *, logged: bool = False) -> web.HTTPError:
    """An error page that a person can read; `logged` when the operator's line is in the log already."""
    error = web.HTTPError(status, words, reason=TITLES[status])
    error.logged = logged
    return error


def _read_state(text: str | None) -> dict[str, Any]:
    """A login's state as oauthenticator writes it; empty when it is anything else."""
    try:
        state = json.loads(base64.urlsafe_b64decode(text or ""))
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


class VisaLoginHandler(OAuthLoginHandler):
    """Sends the browser to the provider, with state, PKCE and a nonce tied to this login."""

    _code_verifier = ""

    @property
    def _OAUTH_AUTHORIZE_URL(self):
        return self._authorize_url

    def _generate_pkce_params(self):
        self._code_verifier, challenge = super()._generate_pkce_params()
        return self._code_verifier, challenge

    def authorize_redirect(self, *args, extra_params=None, **others):
        nonce = nonce_from(self._code_verifier)
        return super().authorize_redirect(
            *args, extra_params={**(extra_params or {}), "nonce": nonce}, **others
        )

    async def get(self):
        self._authorize_url = (await self.authenticator.metadata())["authorization_endpoint"]
        super().get()


class VisaCallbackHandler(OAuthCallbackHandler):
    """Where the provider sends the browser back to, with a code or an error."""

    @property
    def code_verifier(self) -> str:
        """The PKCE verifier of this login, from the browser's signed cookie."""
        verifier = _read_state(self.get_state_cookie()).get("code_verifier")
        if not verifier:
            raise said(400, STALE_LOGIN)
        return verifier

    def check_arguments(self):
        """Refuse whatever this browser's own login did not bring about, then what the provider refused."""
        given = str(_read_state(self.get_argument("state", "")).get("state_id", ""))
        known = _read_state(self.get_state_cookie()).get("state_id")
        if not known or not hmac.compare_digest(known.encode(), given.encode()):
            raise said(400, STALE_LOGIN)
        error = self.get_argument("error", "")
        if error:
            code = error if _ERROR_CODE.fullmatch(error) else "an unreadable error"
            self.log.warning("The provider ended a login with %s", code)
            raise web.HTTPError(
                403, f"The facility's login said no ({code}). Go back to VISA and log in again."
            )
        if not self.get_argument("code", ""):
            raise said(400, STALE_LOGIN)

    def log_exception(self, typ, value, tb):
        """Log without the request's address: it carries the code."""
        if isinstance(value, web.HTTPError):
            if not getattr(value, "logged", False):
                self.log.warning("Login not completed: %s", value.get_message())
        else:
            self.log.error("Login failed", exc_info=(typ, value, tb))


class VisaLogoutHandler(OAuthLogoutHandler):
    """Logs out of the hub, and of the provider where the site wants it."""

    async def handle_logout(self):
        if self.current_user:
            await self.authenticator.logouts.left(self.current_user, self.get_session_cookie())

    async def render_logout_page(self):
        address = await self.authenticator.provider_logout_url()
        if address:
            self.redirect(address)
        else:
            await super().render_logout_page()
