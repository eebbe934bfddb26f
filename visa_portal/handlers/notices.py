"""The notices on top of every page: looked for again by its script, and dismissed."""

from __future__ import annotations

from ..hub import NotThere
from ..models_sharing import Notices
from .base import LiveHandler, PersonHandler


class NoticesHandler(LiveHandler):
    """The notices alone, for the pages' script."""

    async def get(self) -> None:
        # A page that has the requests themselves needs no notice of them.
        answering = self.get_query_argument("answering", "") == "1"
        try:
            notices = await self.site.sharing.notices(self.token)
        except NotThere:
            # A hub without sharing.
            notices = Notices()
        self.finish(self.page("notices.html", notices=notices, answering=answering))


class SeenHandler(PersonHandler):
    """A message was read and need not be shown again."""

    async def post(self, notice: str) -> None:
        try:
            await self.site.sharing.seen(self.token, int(notice))
        except NotThere:
            # Dismissed already, in another tab.
            pass
        self.redirect(self.site.prefix, status=303)


ROUTES = [
    ("notices", NoticesHandler),
    ("notices/([0-9]{1,18})/seen", SeenHandler),
]
