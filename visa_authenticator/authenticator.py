"""Login by OpenID Connect: who somebody is, what they may do, and nobody whose claims are absurd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin

from tornado import web

from visa_catalogue.account import Account

from .accounts import Accounts, from_state, to_state
from .backchannel import BackchannelLogoutHandler
from .claims import ClaimRefused
from .handlers import VisaCallbackHandler, VisaLoginHandler, VisaLogoutHandler, said
from .idtoken import TokenRefused, nonce_from
from .logouts import Logouts, keep_ended, new_login
from .provider import Provider, ProviderDown, ProviderRefused, Tokens, check_address
from .refresh import LoginEnded, Refresher
from .secrets import read_secret
from .settings import LoginSettings
from .uids import UidRegister

if TYPE_CHECKING:
    from jupyterhub.user import User

#: Settings of oauthenticator that would be ignored here, or weaken a login: refused rather than that.
_FIXED = {
    "enable_auth_state": True,
    "manage_groups": True,
    "enable_pkce": True,
    "userdata_from_id_token": False,
    "modify_auth_state_hook": None,
    "refresh_user_hook": None,
    "reconcile_auth_state_hook": None,
}
DOWN = "The facility's login does not answer. Sessions that are running go on. Try again in a minute."
BAD_PROOF = "The facility's login could not be verified. Go back to VISA and log in again."
ENDED = "Your login has ended. Log in again, then start the session."


class VisaAuthenticator(LoginSettings):
    """Turns a facility's OpenID Connect login into an account, its hub groups."""

    login_handler = VisaLoginHandler
    callback_handler = VisaCallbackHandler
    logout_handler = VisaLogoutHandler

    def __init__(self, **settings):
        super().__init__(**settings)
        for name, value in _FIXED.items():
            if getattr(self, name) != value:
                raise ValueError(f"VisaAuthenticator.{name} cannot be changed")
        if not self.issuer or not self.client_id:
            raise ValueError("VisaAuthenticator needs issuer and client_id")
        if self.client_secret_file:
            self.client_secret = read_secret(self.client_secret_file)
        if not self.client_secret:
            raise ValueError(
                "VisaAuthenticator has no client secret: set OAUTH_CLIENT_SECRET or client_secret_file"
            )
        overrides = {
            "authorization_endpoint": self.authorize_url,
            "token_endpoint": self.token_url,
            "userinfo_endpoint": self.userdata_url,
        }
        self.provider = Provider(
            check_address("issuer", self.issuer),
            client_id=self.client_id,
            client_secret=self.client_secret,
            http=self.http_client,
            request_options=self.http_request_kwargs,
            timeout=self.provider_timeout,
            basic_auth=self.basic_auth,
            overrides={name: address for name, address in overrides.items() if address},
        )
        self._accounts = Accounts(self.claim_rules(), UidRegister(self.uid_register), self.log)
        self.refresher = Refresher(self)
        self.logouts = Logouts(self)
        self.reconcile_auth_state_hook = keep_ended

    def get_handlers(self, app):
        return [*super().get_handlers(app), ("/backchannel_logout", BackchannelLogoutHandler)]

    async def metadata(self) -> dict[str, Any]:
        """What the provider says of itself; raises HTTPError 503 in words when it does not answer."""
        try:
            return await self.provider.metadata()
        except ProviderDown as error:
            self.log.warning("A login cannot begin: %s", error)
            raise said(503, DOWN, logged=True) from error

    async def authenticate(self, handler: VisaCallbackHandler, data=None, **others) -> dict[str, Any]:
        """The auth model of whoever the code that came back stands for.

        Raises HTTPError with words for the person when there is none.
        """
        tokens, claims, proof = await self._proof(handler)
        who = f"with subject {claims['sub']!r:.80}"
        try:
            who = username = self._accounts.username(claims)
            user = handler.find_user(username)
            before = await user.get_auth_state() if user else None
            account, no_start = self._accounts.settle(
                claims, active=bool(user and user.active), previous=from_state(before)
            )
        except ClaimRefused as error:
            self._accounts.refused(who, error)
            words = f"Your account cannot be used here: {error}. {self.account_help}"
            raise said(403, words, logged=True) from error
        self.refresher.forget(username)
        if not tokens.refresh_token:
            self.log.warning("The provider gave %s no refresh token: this login ends early", username)
        state = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "scope": list(tokens.scope),
            "sub": claims["sub"],
            "no_start": no_start,
            **new_login(before, proof, handler),
        }
        return {**self._model(account, state), "is_login": True}

    async def _proof(self, handler: VisaCallbackHandler) -> tuple[Tokens, dict[str, Any], dict[str, Any]]:
        """Tokens, claims of the person, and those of the id token, once the signature stands behind them."""
        verifier = handler.code_verifier
        try:
            self._check_sender(await self.provider.metadata(), handler.get_argument("iss", None))
            tokens = await self.provider.exchange(
                handler.get_argument("code"), verifier, self.get_callback_url(handler)
            )
            proof = await self.provider.verified(tokens.id_token, nonce_from(verifier))
            claims = await self.provider.userinfo(tokens.access_token)
            if claims.get("sub") != proof["sub"]:
                raise TokenRefused("id token and user information speak of different people")
        except ProviderDown as error:
            self.log.warning("A login failed: %s", error)
            raise said(503, DOWN, logged=True) from error
        except (ProviderRefused, TokenRefused) as error:
            self.log.warning("A login failed: %s", error)
            raise said(403, BAD_PROOF, logged=True) from error
        return tokens, claims, proof

    def _check_sender(self, metadata: dict[str, Any], sender: str | None) -> None:
        """A code sent by another provider is not for us to exchange (RFC 9207); raises TokenRefused."""
        expected = metadata.get("authorization_response_iss_parameter_supported", False)
        if sender != metadata["issuer"] and (expected or sender is not None):
            raise TokenRefused("the answer came from another provider")

    def _model(self, account: Account, state: dict[str, Any]) -> dict[str, Any]:
        """What JupyterHub keeps of an account.

        No facility role makes a hub admin: JupyterHub's admin may give out tokens of anybody, and so be
        anybody. What administrators may do is a role of the hub's configuration, given to their group.
        """
        admin = account.username in self.admin_users or bool(self.admin_groups & set(account.groups))
        return {
            "name": account.username,
            "admin": admin,
            "groups": account.groups,
            "auth_state": {**state, "account": to_state(account)},
        }

    async def refresh_user(self, user: User, handler=None, **others) -> bool | dict[str, Any]:
        """See `refresh.Refresher`."""
        return await self.refresher.refresh(user, handler)

    def refreshed(
        self, user: User, claims: dict[str, Any], state: dict[str, Any], previous: Account
    ) -> bool | dict[str, Any]:
        """True when nothing has changed for the person, otherwise the new auth model.

        Claims that would refuse a login leave a person who is in as they were, so that work is saved,
        but start nothing more.
        """
        try:
            if self._accounts.username(claims) != user.name:
                raise LoginEnded("the account has another name now")
            account, no_start = self._accounts.settle(claims, active=user.active, previous=previous)
        except ClaimRefused as error:
            account = previous
            no_start = f"Your account cannot be used any more: {error}. {self.account_help}"
            if no_start != state.get("no_start"):
                self._accounts.refused(user.name, error)
        model = self._model(account, {**state, "no_start": no_start})
        same = (
            model["auth_state"] == state
            and model["admin"] == user.admin
            and model["groups"] == sorted(group.name for group in user.groups)
        )
        return True if same else model

    async def pre_spawn_start(self, user: User, spawner) -> None:
        """Start nothing for an account that is unknown or in question; raises HTTPError 403 in words."""
        state = await user.get_auth_state()
        if from_state(state) is None:
            raise web.HTTPError(403, ENDED)
        if state.get("no_start"):
            raise web.HTTPError(403, state["no_start"])

    def delete_user(self, user: User) -> None:
        """Free the uid of an account that is deleted from the hub."""
        super().delete_user(user)
        self._accounts.forget(user.name)

    async def provider_logout_url(self) -> str:
        """Where to send somebody who logs out, "" for the hub's own page."""
        if not self.logout_of_provider:
            return ""
        try:
            address = (await self.provider.metadata()).get("end_session_endpoint", "")
        except ProviderDown as error:
            self.log.warning("Nobody is logged out of the provider: %s", error)
            return ""
        # Not with the id token as a hint, which would put a token into an address.
        hints = {"client_id": self.client_id}
        if self.oauth_callback_url:
            hints["post_logout_redirect_uri"] = urljoin(self.oauth_callback_url, ".")
        return f"{address}?{urlencode(hints)}" if address else ""
