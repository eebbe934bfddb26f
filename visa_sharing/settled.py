"""Nobody in a session who may not see what is about to be in it: asked before data are added."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from visa_spawner.members import Members
from visa_spawner.session import StartRefused
from visa_spawner.site import VisaSite

from . import accounts, entries, grants, plain, table
from .database import SUPPORT
from .keeper import Keeper
from .rights import Experiments, NotKnown

NOT_KNOWN = "which experiments the others may see is not known now; nothing was added. Try again in a minute"
NOT_TOLD = "who is in it could not be told of the change; nothing was added. Try again in a minute"


class KeptMembers(Members):
    """What the hub knows of members, in our tables."""

    def __init__(self, keeper: Keeper):
        self._keeper = keeper

    async def may_have(self, row: orm.Spawner, experiment: str) -> None:
        """Raise StartRefused where somebody who may not see it could have left a program in this run.

        That runs as the owner. Support by consent is not put out, and was let in before it was there.
        """
        app = JupyterHub.instance()
        for name in entries.worked(app.db, row):
            if full_name := await _hidden_from(app, orm.User.find(app.db, name), name, experiment):
                words = f"{full_name} has worked in this session and may not see {experiment}; start a new"
                raise StartRefused(f"{words} session with it", field="experiment", status=409)
        support = [
            share.user for share, grant in grants.shares_of(app.db, row) if grant and grant.way == SUPPORT
        ]
        for user in support:
            if full_name := await _hidden_from(app, user, user.name, experiment):
                words = f"{full_name} is in this session as support and may not see {experiment}; end that"
                raise StartRefused(f"{words} first", field="experiment", status=409)

    async def settled(self, row: orm.Spawner) -> None:
        """End who may not be in it any more, and tell the session; raises StartRefused where none hears.

        What it may have by now is committed in its row. A session that nobody is let into needs no telling,
        but for one that said that somebody is in it: it may not have heard of their end.
        """
        app = JupyterHub.instance()
        others = set(entries.present(app.db, row)) - {row.user.name}
        if not others and not grants.shares_of(app.db, row):
            return
        await self._keeper.settled(row.id)
        lost = any(member.lost for member in await table.members(app, row))
        # Not those that are closed: what could not be settled was not told either.
        if lost or not plain.listening_lines(app, row.id, row):
            raise StartRefused(NOT_TOLD, field="session", status=503)


async def _hidden_from(app: JupyterHub, row: orm.User | None, name: str, experiment: str) -> str:
    """What people call them where they may not see it, or where nobody knows; "" where they may."""
    if row is None:
        return name
    known = await accounts.known(app.users[row])
    try:
        hidden = await Experiments.of(VisaSite.of(app.config).catalogue).hidden_from(
            known.account, (experiment,)
        )
    except NotKnown:
        raise StartRefused(NOT_KNOWN, field="session", status=503) from None
    return (known.account.name or name) if hidden else ""
