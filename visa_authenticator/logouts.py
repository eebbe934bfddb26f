"""Ends logins by the provider's word: at the hub at once, and with it everywhere the hub's word counts.

A login is what the hub keeps of it (the auth state, by which it is vouched for), the hub's cookie in each
browser, and the tokens that portal and sessions got for each browser. The tokens of running sessions stay: a
session outlives its owner's login.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from jupyterhub.crypto import decrypt

from .logouttoken import Once
from .refresh import RECENT

if TYPE_CHECKING:
    from jupyterhub.handlers import BaseHandler
    from jupyterhub.user import User

    from .authenticator import VisaAuthenticator

#: Browsers of one account whose login at the provider is remembered; the oldest are forgotten.
_BROWSERS = 50
#: Seconds after the end of one browser's login until the provider is asked whether it still vouches for the
#: account. Not at once: some end the login only after they have told everybody.
_ASK_AGAIN = 1


def new_login(
    previous: Mapping[str, Any] | None, proof: Mapping[str, Any], handler: BaseHandler
) -> dict[str, Any]:
    """What the auth state has to know to end this login: its name, and which browsers belong to which.

    `browsers` is for each session at the provider (`sid`) the hub's session id of the browser it is in.
    """
    browsers = dict((previous or {}).get("browsers", {}))
    sid = proof.get("sid")
    if isinstance(sid, str):
        browsers.pop(sid, None)
        browsers[sid] = handler.get_session_cookie() or handler.set_session_cookie()
    return {
        "login": secrets.token_hex(8),
        "browsers": dict(list(browsers.items())[-_BROWSERS:]),
    }


def keep_ended(_authenticator, authenticated: dict[str, Any], existing: dict[str, Any] | None):
    """JupyterHub's `reconcile_auth_state_hook`: a refresh that ends late brings no ended login back."""
    state = authenticated["auth_state"]
    if authenticated.pop("is_login", False) or state is None:
        return state
    return state if existing and existing.get("login") == state.get("login") else existing


class Logouts:
    """What the authenticator does when a login is over."""

    def __init__(self, authenticator: VisaAuthenticator):
        self._authenticator = authenticator
        self._log = authenticator.log
        self._once = Once()
        self._tasks: set[asyncio.Task] = set()

    async def told(self, claims: Mapping[str, Any], handler: BaseHandler) -> None:
        """End what a verified logout token names; nothing, when that is over already.

        Without `sid` it is the account's whole login, and likewise when the provider gives no `sid` at
        login. Raises TokenRefused when the token came before.
        """
        self._once.take(claims)
        for name in await self._whose(handler.db, claims):
            user = handler.find_user(name)
            state = await user.get_auth_state() if user else None
            if not state:
                continue
            browsers, sid = state.get("browsers", {}), claims.get("sid")
            if sid is None or not browsers:
                await self.end(user)
            elif sid in browsers:
                await self._end_browser(user, state, sid)

    async def _whose(self, db, claims: Mapping[str, Any]) -> list[str]:
        """Names of the accounts with that subject, or with that session at the provider."""
        rows = db.query(orm.User.name, orm.User.encrypted_auth_state).filter(
            orm.User.encrypted_auth_state.is_not(None)
        )
        found = []
        for name, encrypted in rows.all():
            try:
                state = await decrypt(encrypted)
            except Exception:  # kept under a key that is gone: no login either
                continue
            if "sub" in claims:
                matches = state.get("sub") == claims["sub"]
            else:
                matches = claims["sid"] in state.get("browsers", {})
            if matches:
                found.append(name)
        return found

    async def end(self, user: User) -> None:
        """End the account's login, in every browser."""
        login = (await user.get_auth_state() or {}).get("login")
        self._authenticator.refresher.forget(user.name)
        self._end_tokens(user)
        await user.save_auth_state(None)
        self._log.warning("The login of %s has ended: the provider logged it out", user.name)
        self._later(self._stay_ended(user, login))

    async def _stay_ended(self, user: User, login: str | None) -> None:
        """A refresh that was under way may have kept new tokens since, and the hub what it gave after it."""
        for pause in (0, RECENT):
            await asyncio.sleep(pause)
            async with self._authenticator.refresher.lock(user.name):
                state = await user.get_auth_state()
                if state and state.get("login") == login:
                    await user.save_auth_state(None)

    async def _end_browser(self, user: User, state: dict[str, Any], sid: str) -> None:
        """End the login in one browser. The hub's cookie is the account's: the others get a new one."""
        browsers = dict(state["browsers"])
        self._end_tokens(user, browsers.pop(sid))
        user.db.commit()
        await user.save_auth_state({**state, "browsers": browsers})
        self._log.info("A login of %s has ended: the provider logged one browser out", user.name)
        self._later(self._ask_again(user))

    async def _ask_again(self, user: User) -> None:
        await asyncio.sleep(_ASK_AGAIN)
        self._authenticator.refresher.forget(user.name)
        await self._authenticator.refresher.refresh(user, None)

    def _end_tokens(self, user: User, browser: str | None = None) -> None:
        """Delete the tokens of one browser, or of all; the caller commits."""
        of_browsers = (
            orm.APIToken.session_id.is_not(None) if browser is None else (orm.APIToken.session_id == browser)
        )
        for token in user.db.query(orm.APIToken).filter(orm.APIToken.user_id == user.id, of_browsers):
            user.db.delete(token)
        # Codes on their way to be exchanged would become tokens.
        for code in user.db.query(orm.OAuthCode).filter(orm.OAuthCode.user_id == user.id):
            user.db.delete(code)
        user.orm_user.cookie_id = orm.new_token()
        user._auth_refreshed = None  # the next request asks anew, whoever makes it

    async def left(self, user: User, session_id: str | None) -> None:
        """Somebody logged out at the hub itself, in one browser: what the provider may say of it is done."""
        state = await user.get_auth_state()
        browsers = (state or {}).get("browsers", {})
        kept = {sid: browser for sid, browser in browsers.items() if browser != session_id}
        if kept != browsers:
            await user.save_auth_state({**state, "browsers": kept})

    def _later(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
