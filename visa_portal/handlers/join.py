""" "Join": where an invitation link leads.

The link's code stands behind the `#` of the address, which no browser sends: it is in no log of ours, of
the proxy or of the login, and in no referrer. So this page is there without a login: a redirect to one would
carry the code on to another host. The page's script keeps it in the tab, and a click sends it in a form's
body.
"""

from __future__ import annotations

from ..hub import NotThere, Refused
from ..words_sharing import YOURS
from .base import PersonHandler

#: How long a code can be; the hub's are shorter.
LONGEST = 200


class JoinHandler(PersonHandler):
    """The page, before and after the click."""

    def _log_in(self) -> None:
        if self.request.method not in ("GET", "HEAD"):
            super()._log_in()

    async def get(self) -> None:
        if not self.current_user:
            self.finish(self.page("join.html", refused="", joined=None))
            return
        await self.show("join.html", refused="", joined=None)

    async def post(self) -> None:
        code = next(iter(self.sent().get("code", ())), "").strip()
        # Somebody may have put the whole link into the field.
        code = code.rpartition("#")[2]
        try:
            if not code or len(code) > LONGEST:
                raise NotThere("")
            with self.timed("hub"):
                joined = await self.site.sharing.join(self.token, code)
        except NotThere:
            # One text, so that nobody learns which codes there were.
            await self._refuse(
                404,
                "This link lets nobody in. It may have expired, have been used as often as it may be, or "
                "have been taken back; or a part of it is missing. Ask whoever sent it to you for a new one.",
            )
        except Refused as refused:
            await self._refuse(refused.status, refused.words[:1].upper() + refused.words[1:])
        else:
            await self.show("join.html", refused="", joined=joined, yours=YOURS.get(joined.role, ""))

    async def _refuse(self, status: int, words: str) -> None:
        self.set_status(status if 400 <= status < 500 else 400)
        await self.show("join.html", refused=words, joined=None)


class LoginHandler(PersonHandler):
    """Log in, and come back to the page: its own address carries nothing."""

    def get(self) -> None:
        self.redirect(f"{self.site.prefix}join")


ROUTES = [
    ("join", JoinHandler),
    ("join/login", LoginHandler),
]
