"""What whoever opens a session that stands still is told: how it stands, and what to do.

The proxy leads to the hub in its place (`running/suspending.py`). The hub's own page for a session that is
ready sends the browser on to it, which would lead back here, again and again.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jinja2 import TemplateNotFound
from jupyterhub import handlers
from jupyterhub.handlers.base import UserUrlHandler
from jupyterhub.user import User
from tornado import web

from ..asked.admission import Admission
from ..session import State, Status

#: Seconds after which a browser, or a program that means well, asks again. The hub's pages have no script, so
#: the browser loads it anew, which whoever has it read out hears from the beginning: not more often.
RETRY = 10
#: For whoever was let in, who can do nothing about it.
MEMBERS = "It can be opened when it goes on."


class SessionUrlHandler(UserUrlHandler):
    """The hub's own, for whom it lets near the session, but for one that stands still."""

    async def _redirect_to_user_server(self, user: User, spawner: Admission) -> None:
        status = spawner.child_spawner.status if spawner.child_spawner else None
        if not spawner.withheld or status is None:
            return await super()._redirect_to_user_server(user, spawner)
        if self.get_query_argument("redirects", ""):
            # The hub's own count of how often it has sent a browser on, which would go on at each suspension.
            return self.redirect(_without_count(self.request.uri))
        owns = user.name == self.current_user.name
        said = status.words if owns else MEMBERS
        self.set_status(503)
        self.set_header("Retry-After", str(RETRY))
        if "text/html" in self.request.headers.get("Accept", "text/html"):
            self.finish(await self._page(spawner, status, said, owns))
        else:
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps({"message": f"{_headline(status)}. {said}", "status": 503}))

    async def _page(self, spawner: Admission, status: Status, said: str, owns: bool) -> str:
        try:
            return await self.render_template(
                "still.html",
                spawner=spawner,
                headline=_headline(status),
                said=said,
                owns=owns,
                may_resume=owns and spawner.may_resume,
                retry=RETRY,
            )
        except TemplateNotFound:  # a hub without the portal's pages
            raise web.HTTPError(503, f"{_headline(status)}. {said}") from None


def _without_count(address: str) -> str:
    parts = urlsplit(address)
    query = [(key, value) for key, value in parse_qsl(parts.query, True) if key != "redirects"]
    return urlunsplit(("", "", parts.path, urlencode(query), ""))


def _headline(status: Status) -> str:
    return "This session is suspended" if status.state is State.SUSPENDED else "This session stands still"


def join_hub() -> None:
    """Put it in the place of the hub's own; harmless when done already. Must come before the hub starts."""
    handlers.default_handlers[:] = [
        (path, SessionUrlHandler if handler is UserUrlHandler else handler, *more)
        for path, handler, *more in handlers.default_handlers
    ]
