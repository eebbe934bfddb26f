"""The door: what comes in as `user_options`, by whichever way, is checked here before anything starts."""

from __future__ import annotations

import time

from jupyterhub.spawner import SpawnException
from pydantic import ValidationError
from tornado import web

from visa_catalogue.account import Account

from ..kept.state import Kept, Outcome
from ..session import StartRefused, State
from ..start.compose import batch, person
from . import forms
from .authorise import Accepted, authorise, check_quota
from .exact import check_image
from .request import parse


def as_spawn_exception(error: StartRefused) -> SpawnException:
    """The refusal as JupyterHub tells it to whoever asked: `FIELD: words`."""
    message = f"{error.field}: {error.words}" if error.field else error.words
    refusal = SpawnException(message, reason=error.reason, status_code=error.status)
    # Pages and progress events take the words from here; they would show status and class otherwise.
    refusal.jupyterhub_message = message
    return refusal


def granted_account(auth_state: dict | None, username: str) -> Account:
    """The account that the login left in the auth state.

    Raises StartRefused when there is none, or when it is not this user's.
    """
    try:
        account = Account.model_validate((auth_state or {}).get("account"))
    except ValidationError:
        words = "the details of your account are not at hand; log out and in again"
        raise StartRefused(words, field="account", status=403, reason="account") from None
    if account.username != username:
        words = "the details of your account are somebody else's; tell the facility's staff"
        raise StartRefused(words, field="account", status=403, reason="account")
    return account


class Admission:
    """Mixed into `VisaSpawner`: parse, authorise, refuse in words, leave no trace of a refusal."""

    async def admit(self, user_options: dict) -> None:
        """`apply_user_options`: keep what was granted for `start`.

        Raises SpawnException, 4xx, whose message begins with the field's name.
        """
        self._accepted = None
        try:
            self._accepted = await self._grant(user_options)
        except StartRefused as error:
            self.log.warning("%s: refused, %s: %s", self._log_name, error.field, error.words)
            self._refused(error)
            raise as_spawn_exception(error) from None
        self._kept = Kept.granted(self._accepted)
        self.construct_child()
        self._allow_for_queue()
        self._steps.say("Checked the request")

    async def _grant(self, user_options: dict) -> Accepted:
        if self.handler is not None and self.handler.request.method == "GET":
            words = "a link cannot start a session; use the page for a new session"
            raise StartRefused(words, field="user_options", status=405, reason="link")
        if not self.name:
            raise StartRefused("a session needs a name of its own", field="name", reason="unnamed")
        request = parse(user_options)
        account = granted_account(await self.user.get_auth_state(), self.user.name)
        person(account)
        site = self.site
        accepted = await authorise(request, account, site.catalogue, site.profiles, site.limits)
        batch(accepted)
        await check_image(accepted, site, self.user.db)
        # Nothing is awaited from here until it is granted, so that two at once cannot both be the last.
        check_quota(self._running_beside(), site.limits)
        return accepted

    def _running_beside(self) -> int:
        """The account's other sessions that run, start, or may run."""
        others = (spawner for spawner in self.user.spawners.values() if spawner is not self)
        return sum(1 for other in others if other.kept.phase or other._accepted is not None)

    def _refused(self, error: StartRefused) -> None:
        # What the hub stored on the way in was never checked: the last granted options stand again.
        self.orm_spawner.user_options = self._kept.options or None
        self._kept = self._kept.but(outcome=Outcome(state=State.FAILED, words=error.words))
        self.user.db.commit()
        self._forget_if_new(error)

    def _forget_if_new(self, error: StartRefused) -> None:
        """Take away the row that the hub made for a session that was refused as it was asked for.

        It stays when it existed before, when something ran, and when the answer has been given already: the
        row is then where its owner reads why.
        """
        ran = error.status >= 500 and error.status != 503
        handler, future = self.handler, self._spawn_future
        if ran or not self._row_is_new or handler is None or handler._finished or future is None:
            return
        # A row made earlier, by PUT, has its spawner from then.
        if time.time() - self._made_at > handler.request.request_time():
            return
        # Last of the callbacks: the hub is done with this start when it runs.
        future.add_done_callback(self._forget)

    def _forget(self, _future) -> None:
        db, row = self.user.db, self.orm_spawner
        # The unnamed one is the hub's own and always there.
        if not self.name or self.active or self.server is not None or row not in db:
            return
        self.user.spawners.pop(self.name, None)
        db.delete(row)
        db.commit()

    # The hub's own spawn page ------------------------------------------------------------------------
    async def run_auth_state_hook(self, auth_state: dict | None) -> None:
        """Also where a GET of the spawn page ends: before the hub can take its query for a form."""
        await super().run_auth_state_hook(auth_state)
        if self.handler is not None and self.handler.request.method == "GET" and self.site.portal_url:
            self._forget_row_of_get()
            forms.redirect_get(self.handler, self.site.portal_url, self.name)

    def _forget_row_of_get(self) -> None:
        # The hub makes a row for any name in the address: a link must not fill somebody's list either.
        if self._row_is_new and time.time() - self._made_at <= self.handler.request.request_time():
            self._forget(None)

    def options_from_query(self, query: dict) -> dict:
        """Never: a GET carries no token against forgery. Raises a 405 in words."""
        raise web.HTTPError(405, "user_options: a link cannot start a session; send the form")

    async def get_options_form(self) -> str:
        """The form for hubs without a portal."""
        try:
            account = granted_account(await self.user.get_auth_state(), self.user.name)
        except StartRefused:
            account = Account(username=self.user.name)
        return forms.plain_form(self.site.profiles.values(), account.roles)
