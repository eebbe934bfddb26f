"""Asks the identity provider again about members who are in somebody else's session now."""

from __future__ import annotations

import asyncio
import logging
import time

from jupyterhub import orm, roles
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from jupyterhub.utils import maybe_future

from visa_spawner.running.turns import in_turns

from . import entries
from .grants import shares_of
from .line import lines

log = logging.getLogger(__name__)

#: How many are asked about at a time.
AT_A_TIME = 8


async def refresh_present(app: JupyterHub) -> None:
    """Each of them once, by the same way as the hub does when they make a request themselves."""
    found: set[str] = set()
    # Nobody is a member of the others, which are most.
    shared = {row.spawner_id for row in app.db.query(orm.Share.spawner_id).distinct()}
    async for spawner_id in in_turns(shared.intersection(lines().sessions)):
        row = app.db.get(orm.Spawner, spawner_id)
        if row is not None:
            members = {share.user.name for share, _ in shares_of(app.db, row)}
            # A session's word is not enough: each name costs the provider a request.
            found |= set(entries.present(app.db, row)) & members
    turn = asyncio.Semaphore(AT_A_TIME)

    async def one(name: str) -> None:
        async with turn:
            orm_user = orm.User.find(app.db, name)
            if orm_user is not None:
                await refresh(app, app.users[orm_user])

    for outcome in await asyncio.gather(*map(one, sorted(found)), return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("an account could not be refreshed; it is tried again", exc_info=outcome)


async def refresh(app: JupyterHub, user: User) -> None:
    """Have the authenticator refresh one account, and keep what it says as the hub would."""
    age = user.authenticator.auth_refresh_age
    if not age or user.encrypted_auth_state is None:
        return
    if user._auth_refreshed and time.monotonic() - user._auth_refreshed < 1:
        return  # by a request of theirs, just now
    outcome = await user.authenticator.refresh_user(user, None)
    if not outcome:
        # The hub asks for a new login from here on, and so do we.
        user._auth_refreshed = None
        await user.save_auth_state(None)
        return
    user._auth_refreshed = time.monotonic()
    if outcome is not True:
        await _keep(app, user, outcome)


async def _keep(app: JupyterHub, user: User, model: dict) -> None:
    """What `BaseHandler.auth_to_user` does with it; that needs a request, which there is none of here."""
    if model.get("admin") is not None and model["admin"] != user.admin:
        user.admin = model["admin"]
    roles.assign_default_roles(app.db, entity=user)
    if user.authenticator.manage_groups and model.get("groups") is not None:
        user.sync_groups(model["groups"])
    if user.authenticator.enable_auth_state:
        state = model.get("auth_state")
        if hook := user.authenticator.reconcile_auth_state_hook:
            state = await maybe_future(hook(user.authenticator, model, await user.get_auth_state()))
        await user.save_auth_state(state)
    app.db.commit()
