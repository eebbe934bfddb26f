""" "History": who let whom in, who came and went, in all of one's sessions or in one."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from tornado.web import HTTPError

from ..models_sharing import Event
from . import NAME
from .base import PersonHandler

#: Lines of one page.
PAGE = 50


class HistoryHandler(PersonHandler):
    """The page, newest line first."""

    async def get(self) -> None:
        name = self.get_query_argument("session", "")
        before = self.get_query_argument("before", "")
        if name and not re.fullmatch(NAME, name):
            raise HTTPError(404, "There is no such session.")
        if before and not re.fullmatch("[0-9]{1,18}", before):
            raise HTTPError(400, "This is no page of the history.")
        session = (self.owner, name) if name else None
        with self.timed("hub"):
            # One more than is shown tells whether there is another page.
            events = await self.site.sharing.history(self.token, session, int(before or 0), PAGE + 1)
            sessions = await self.site.hub.sessions(self.token)
        titles = {one.name: one.title or one.name for one in sessions}
        shown = events[:PAGE]
        for event in shown:
            if event.owner == self.owner and event.session:
                titles.setdefault(event.session, event.session)
        if name:
            titles.setdefault(name, name)
        await self.show(
            "history.html",
            events=shown,
            titles=titles,
            name=name,
            first=not before,
            older=urlencode(_pairs(name, shown[-1])) if len(events) > PAGE else "",
        )


def _pairs(name: str, last: Event) -> list[tuple[str, str]]:
    return ([("session", name)] if name else []) + [("before", str(last.id))]


ROUTES = [("history", HistoryHandler)]
