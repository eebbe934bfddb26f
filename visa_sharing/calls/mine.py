"""What the portal's first page looks at again and again, in one call."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.user import User

from .. import help, support, table
from ..plain import others
from .callers import PersonHandler
from .shared import shared_with


class MineHandler(PersonHandler):
    """Who is in one's own sessions, who asks to be, and the sessions of others that one is let into."""

    async def get(self):
        user = self.person()
        self.answer({"sessions": await self._own(user), "shared": await shared_with(self.app, user)})

    async def _own(self, user: User) -> list[dict]:
        return [
            {"name": name} | await self._inside(spawner)
            for name, spawner in dict(user.orm_user.orm_spawners).items()
            if name
        ]

    async def _inside(self, spawner: orm.Spawner) -> dict:
        # Asked every few seconds by everybody, while most sessions are their owners' alone.
        if spawner.id not in others():
            return {"members": [], "requests": [], "help": None}
        return {
            "members": await table.told_members(self.app, spawner),
            "requests": await support.open_requests(self.app, spawner),
            "help": await help.open_help(self.app, spawner),
        }


HANDLERS = [("/api/visa/mine", MineHandler)]
