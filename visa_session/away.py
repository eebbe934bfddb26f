"""Who is in: from the connections that are open, patient enough for a page that is reloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .connections import Open
from .roles import Role

#: Seconds without any connection after which somebody has left: a reload, or a change of network, takes less.
GRACE = 8.0

ENTERED, LEFT = "entered", "left"


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Visit:
    """Somebody who is in, as what and since when."""

    name: str
    role: Role
    address: str
    since: str = field(default_factory=now)
    connections: int = 0
    leaving: asyncio.TimerHandle | None = None


class Presence:
    """Counts each person's lasting connections.

    `told` is called with "entered" or "left" and the visit.
    """

    def __init__(self, role_of: Callable[[str], Role | None], told: Callable[[str, Visit], None]):
        self.visits: dict[str, Visit] = {}
        self._role_of, self._told = role_of, told

    def since(self, name: str) -> str | None:
        """When somebody came who is in; None for who is not."""
        visit = self.visits.get(name)
        return visit.since if visit else None

    def came(self, open: Open) -> None:
        """A connection of somebody's became a lasting one."""
        visit = self.visits.get(open.name)
        new = visit is None
        if new:
            visit = self.visits[open.name] = Visit(open.name, open.role, open.address)
        visit.role = open.role
        visit.connections += 1
        if visit.leaving is not None:
            visit.leaving.cancel()
            visit.leaving = None
        if new:
            self._told(ENTERED, visit)

    def went(self, open: Open) -> None:
        """One ended: the last one of somebody's is the beginning of their leaving."""
        visit = self.visits.get(open.name)
        if visit is None:
            return
        visit.connections -= 1
        if visit.connections > 0 or visit.leaving is not None:
            return
        # Who has lost access does not come back by a reload.
        wait = GRACE if self._role_of(open.name) is not None else 0.0
        visit.leaving = asyncio.get_running_loop().call_later(wait, self._left, visit)

    def everybody_leaves(self) -> None:
        """The session ends."""
        for visit in list(self.visits.values()):
            self._left(visit)

    def _left(self, visit: Visit) -> None:
        if visit.leaving is not None:
            visit.leaving.cancel()
        if self.visits.get(visit.name) is visit:
            del self.visits[visit.name]
            self._told(LEFT, visit)
