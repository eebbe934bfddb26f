"""Calls that read the audit log: everybody their own part of it, administrators all."""

from __future__ import annotations

from tornado import web
from tornado.iostream import StreamClosedError

from ..audit import csv, kinds
from ..audit.search import Wanted, page, pieces
from .callers import PersonHandler
from .queries import Query

#: The highest number of a line.
LAST = 2**31 - 1


class HistoryHandler(PersonHandler, Query):
    """What happened in the caller's own sessions; elsewhere what they did, and what was done to them."""

    async def get(self):
        person = self.person()
        owner, _, session = self.text("session").partition("/")
        if self.text("session") and not (owner and session):
            raise web.HTTPError(400, "session: must be OWNER/NAME")
        wanted = Wanted(
            owner=owner,
            session=session,
            involving="" if owner == person.name else person.name,
            before=self.number("before", None, LAST),
        )
        self.answer({"events": await page(self.db, wanted, self.number("limit", 50, 500))})


class AuditHandler(PersonHandler, Query):
    """All lines, as JSON a page at a time, or whole as a table for spreadsheets."""

    async def get(self):
        await self.administrator()
        wanted = self._wanted()
        if "text/csv" in self.request.headers.get("Accept", ""):
            await self._table(wanted)
        else:
            self.answer({"events": await page(self.db, wanted, self.number("limit", 100, 1000))})

    def _wanted(self) -> Wanted:
        what = frozenset(filter(None, self.text("what").split(",")))
        if not what <= set(kinds.kinds()):
            raise web.HTTPError(400, "what: must be kinds of lines, with commas between them")
        owner, session = self.text("owner"), self.text("session")
        if "/" in session:
            of, _, session = session.partition("/")
            if owner not in ("", of):
                raise web.HTTPError(400, "session: is not one of that owner")
            owner = of
        return Wanted(
            text=self.text("q"),
            who=self.text("who"),
            owner=owner,
            session=session,
            what=what,
            since=self.time("since"),
            until=self.time("until", end_of_day=True),
            before=self.number("before", None, LAST),
        )

    async def _table(self, wanted: Wanted) -> None:
        limit = self.number("limit", None, LAST)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="visa-audit.csv"')
        self.write(csv.header())
        try:
            async for lines in pieces(self.db, wanted, limit):
                self.write(csv.rows(lines))
                # No further than the reader: what is not taken yet is not read from the database either.
                await self.flush()
        except StreamClosedError:
            self.log.info("an export of the audit log was given up by its reader")


HANDLERS = [("/api/visa/history", HistoryHandler), ("/api/visa/audit", AuditHandler)]
