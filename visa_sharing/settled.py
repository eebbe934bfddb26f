"""Nobody in a session who may not see what is about to be in it: asked before data are added."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from visa_spawner.members import Members
from visa_spawner.session import StartRefused

from . import entries, grants, plain, table
from .keeper import Keeper

NOT_TOLD = "who is in it could not be told of the change; nothing was added. Try again in a minute"


class KeptMembers(Members):
    """What the hub knows of members, in our tables."""

    def __init__(self, keeper: Keeper):
        self._keeper = keeper

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
