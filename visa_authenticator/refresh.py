"""Keeps the accounts of people who are logged in as the provider has them now.

The hub calls this for whoever makes a request, at most every `auth_refresh_age` seconds, and before each
start. The provider's silence changes nothing: people stay logged in as they were. Its own word does:
`invalid_grant` ends a login, other claims change an account.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from visa_session.contract import READY_PATH

from .accounts import from_state
from .provider import ProviderDown, ProviderRefused

if TYPE_CHECKING:
    from jupyterhub.handlers import BaseHandler
    from jupyterhub.user import User

    from .authenticator import VisaAuthenticator

#: A refresh counts for all requests of that account which come within so many seconds: the hub stores
#: what one gave after it is over, and the next one must find it stored.
RECENT = 1
#: What a session says of itself by POST; it may go on doing so after its owner's login has ended.
_REPORT = re.compile(rf"/api/(users/[^/]+/activity|{re.escape(READY_PATH)})$")


class LoginEnded(Exception):
    """The provider no longer vouches for the person; the text says how we know."""


class Refresher:
    """Refreshes one account at a time each: a refresh token that is used twice ends the login."""

    def __init__(self, authenticator: VisaAuthenticator):
        self._authenticator = authenticator
        self._log = authenticator.log
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._last: dict[str, tuple[float, bool | dict]] = {}
        self._silent_until = 0.0
        self._trouble = ""

    async def refresh(self, user: User, handler: BaseHandler | None) -> bool | dict:
        """What JupyterHub expects: True for no change, False for a new login, or the new auth model."""
        asked = time.monotonic()
        async with self.lock(user.name):
            at, outcome = self._last.get(user.name, (-RECENT, False))
            if outcome is False or at + RECENT < asked:
                outcome = await self._refresh(user)
                self._last[user.name] = time.monotonic(), outcome
        if outcome is False:
            return self._ended(user, handler)
        return dict(outcome) if isinstance(outcome, dict) else outcome

    def lock(self, username: str) -> asyncio.Lock:
        """Held while an account is refreshed."""
        return self._locks.setdefault(username, asyncio.Lock())

    def forget(self, username: str) -> None:
        """There are newer news of the account than the last refresh: a login, or its end."""
        self._last.pop(username, None)

    def _ended(self, user: User, handler: BaseHandler | None) -> bool:
        if handler is None:
            return False
        if not hasattr(handler, "_token_authenticated"):
            # JupyterHub 6.1 sets this on requests with a token alone, and then reads it on all: without
            # it each page of somebody whose login has ended costs a traceback in the log.
            handler._token_authenticated = False
        request = handler.request
        if handler._token_authenticated and request.method == "POST" and _REPORT.search(request.path):
            # A session outlives its owner's login. Undo what the hub does on True: for a while it would
            # count the person as freshly vouched for.
            asyncio.get_running_loop().call_soon(setattr, user, "_auth_refreshed", None)
            return True
        return False

    async def _refresh(self, user: User) -> bool | dict:
        state = await user.get_auth_state()
        previous = from_state(state)
        if previous is None:
            self._log.info("No account is known for %s: a login is needed", user.name)
            return False
        if time.monotonic() < self._silent_until:
            return True
        try:
            state, claims = await self._claims(user, state)
            if claims.get("sub") != state["sub"]:
                raise LoginEnded("its tokens answer for somebody else")
            outcome = self._authenticator.refreshed(user, claims, state, previous)
        except ProviderDown as error:
            if error.silent:
                self._silent_until = time.monotonic() + self._authenticator.provider_pause
            self._say(f"The provider does not answer, everybody stays logged in as they are: {error}")
            return True
        except ProviderRefused as error:
            self._say(
                f"The provider refuses to refresh logins, everybody stays logged in as they are: {error}"
            )
            return True
        except LoginEnded as error:
            self._log.warning("The login of %s has ended: %s", user.name, error)
            await user.save_auth_state(None)
            return False
        self._say("")
        return outcome

    def _say(self, trouble: str) -> None:
        """Log trouble with the provider once, not once for each person; "" when there is none."""
        if trouble and not self._trouble:
            self._log.warning(trouble)
        elif self._trouble and not trouble:
            self._log.info("The provider answers again")
        self._trouble = trouble

    async def _claims(self, user: User, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The auth state with tokens that work, and the claims they give.

        The access token is tried first, even when it has probably aged: the question costs nothing and
        shows that the provider is there before a refresh token is spent on it.
        """
        provider = self._authenticator.provider
        try:
            return state, await provider.userinfo(state["access_token"])
        except ProviderRefused:
            state = await self._new_tokens(user, state)
        return state, await provider.userinfo(state["access_token"])

    async def _new_tokens(self, user: User, state: dict[str, Any]) -> dict[str, Any]:
        while True:
            spent = state.get("refresh_token")
            if not spent:
                raise LoginEnded("its access token has aged and there is no refresh token")
            try:
                tokens = await self._authenticator.provider.refresh(spent)
                break
            except ProviderRefused as error:
                if error.error != "invalid_grant":
                    raise
                newer = await user.get_auth_state()  # a login meanwhile, in another browser
                if not newer or newer.get("refresh_token") == spent:
                    raise LoginEnded(f"the provider said {error}") from error
                state = newer
        state = {
            **state,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token or spent,
        }
        await user.save_auth_state(state)  # at once: the old one is spent
        return state
