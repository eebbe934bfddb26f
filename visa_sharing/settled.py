"""Nobody in a session who may not see what is about to be in it: asked before data are added."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from visa_spawner.members import Members
from visa_spawner.session import StartRefused

from . import grants, table
from .keeper import Keeper
from .line import lines

NOT_TOLD = "who is in it could not be told of the change; nothing was added. Try again in a minute"


class KeptMembers(Members):
    """What the hub knows of members, in our tables."""

    def __init__(self, keeper: Keeper):
        self._keeper = keeper

    async def settled(self, row: orm.Spawner) -> None:
        """End who may not be in it any more, and tell the session; raises StartRefused where none hears.

        What it may have by now is committed in its row. A session that nobody is let into needs no telling.
        """
        app = JupyterHub.instance()
        if not grants.shares_of(app.db, row):
            return
        await self._keeper.settled(row.id)
        lost = any(member.lost for member in await table.members(app, row))
        if lost or not lines().of(row.id):
            raise StartRefused(NOT_TOLD, field="session", status=503)
