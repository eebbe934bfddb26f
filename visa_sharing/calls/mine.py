"""All that the portal's first page shows, in one call."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.user import User

from visa_spawner.api import report

from .. import help, support, table
from ..plain import others
from ..pulse import pulses
from .callers import PersonHandler
from .shared import shared_with


class MineHandler(PersonHandler):
    """One's own sessions, who is in them or asks to be, and the sessions of others that one is let into."""

    async def get(self):
        user = self.person()
        # First: whatever changes from here on makes another one.
        pulse = pulses().of(self.app, user)
        staff = not (await self.account(user)).roles.isdisjoint(self.site.staff_roles)
        self.answer(
            {
                "pulse": pulse,
                "own": report.sessions(user, with_log=staff),
                "sessions": await self._inside_own(user),
                "shared": await shared_with(self.app, user),
            }
        )

    async def _inside_own(self, user: User) -> list[dict]:
        return [
            {"name": name} | await self._inside(spawner)
            for name, spawner in dict(user.orm_user.orm_spawners).items()
            if name
        ]

    async def _inside(self, spawner: orm.Spawner) -> dict:
        # Most sessions are their owners' alone.
        if spawner.id not in others():
            return {"members": [], "requests": [], "help": None}
        return {
            "members": await table.told_members(self.app, spawner),
            "requests": await support.open_requests(self.app, spawner),
            "help": await help.open_help(self.app, spawner),
        }


HANDLERS = [("/api/visa/mine", MineHandler)]
