"""Find lines of the audit log, newest first, without holding up the hub or filling its memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from ..database import Event
from .kinds import as_line

#: Lines looked at before others have their turn. A look of this many takes a few milliseconds, during
#: which the hub's database cannot be written.
LOOK = 2000
#: Lines that are in memory at once while a file is written.
PIECE = 500

_TABLE = Event.__table__
_TEXTS = ("owner", "session", "who", "whom", "what", "role", "address")


@dataclass(frozen=True)
class Wanted:
    """What to look for; the parts narrow each other down, empty ones do not.

    `text` occurs anywhere in the line, whatever its case. `involving` is an account: the owner, who did it
    or to whom it was done; `party` leaves out the owner. Times are UTC without a zone, `since` included,
    `until` not; `before` is the number of a line.
    """

    text: str = ""
    who: str = ""
    whom: str = ""
    owner: str = ""
    session: str = ""
    what: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    involving: str = ""
    party: str = ""
    before: int | None = None

    @property
    def indexed(self) -> bool:
        """Whether the database finds the lines without looking at the others."""
        return bool(self.who or self.whom or self.owner or self.involving or self.party)

    def narrow(self, query: Select) -> Select:
        """The query with these conditions."""
        for name in ("who", "whom", "owner", "session"):
            if value := getattr(self, name):
                query = query.where(_TABLE.c[name] == value)
        if self.what:
            query = query.where(_TABLE.c.what.in_(self.what))
        if self.since is not None:
            query = query.where(_TABLE.c.at >= self.since)
        if self.until is not None:
            query = query.where(_TABLE.c.at < self.until)
        for value, names in ((self.involving, ("owner", "who", "whom")), (self.party, ("who", "whom"))):
            if value:
                query = query.where(or_(*(_TABLE.c[name] == value for name in names)))
        if self.text:
            # The details stand in the database as JSON is written, with its escapes.
            written = json.dumps(self.text)[1:-1]
            query = query.where(
                or_(
                    cast(_TABLE.c.details, Text).icontains(written, autoescape=True),
                    *(_TABLE.c[name].icontains(self.text, autoescape=True) for name in _TEXTS),
                )
            )
        if self.before is not None:
            query = query.where(_TABLE.c.id < self.before)
        return query.order_by(_TABLE.c.id.desc())


async def pieces(
    db: Session, wanted: Wanted, limit: int | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    """The lines, newest first, some at a time; `limit` is how many at most, None for all."""
    left = limit
    if wanted.indexed:
        while left is None or left > 0:
            size = PIECE if left is None else min(left, PIECE)
            lines = _find(db, wanted.narrow(select(_TABLE)).limit(size))
            if not lines:
                return
            yield lines
            if len(lines) < size:
                return
            wanted = replace(wanted, before=lines[-1]["id"])
            left = None if left is None else left - len(lines)
            await asyncio.sleep(0)
        return
    first, last = db.execute(select(func.min(_TABLE.c.id), func.max(_TABLE.c.id))).one()
    if last is None:
        return
    high = last + 1 if wanted.before is None else min(wanted.before, last + 1)
    while high > first and (left is None or left > 0):
        low = high - LOOK
        query = wanted.narrow(select(_TABLE).where(_TABLE.c.id >= low, _TABLE.c.id < high))
        lines = _find(db, query if left is None else query.limit(left))
        for begin in range(0, len(lines), PIECE):
            yield lines[begin : begin + PIECE]
            await asyncio.sleep(0)
        left = None if left is None else left - len(lines)
        high = low
        await asyncio.sleep(0)


async def page(db: Session, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """At most `limit` lines, newest first; the number of the last one is `before` of the next page."""
    found: list[dict[str, Any]] = []
    async for lines in pieces(db, wanted, limit):
        found += lines
    return found


def _find(db: Session, query: Select) -> list[dict[str, Any]]:
    return [as_line(row) for row in db.execute(query).all()]
