"""GET visa/pulse: a page that is open keeps this open, and is told that something has changed."""

from __future__ import annotations

from tornado import web

from ..pulse import Held, pulses
from .callers import PersonHandler

#: Seconds that a call is held where nothing happens: less than what proxies on the way wait for an answer.
HELD = 25


class PulseHandler(PersonHandler):
    """`{"pulse": WORD}` as soon as it is another word than `after`."""

    _accept_cookie_auth = False
    _held: Held | None = None

    async def prepare(self):
        """Find out whose token it is and what it may do; that a page is open is nobody's activity."""
        token = self.get_token()
        person = token.user if token is not None else None
        self._jupyterhub_user = self.users[person] if person is not None else None
        self._token_authenticated = True
        self._resolve_roles_and_scopes()

    async def get(self):
        user, token = self.person(), self.get_token()
        self._held = Held(token)
        after = self.get_query_argument("after", "")
        pulse = await pulses().next(self.app, user, self._held, after, HELD)
        if not pulse:
            raise web.HTTPError(403, "token: it is not good any more")
        self.answer({"pulse": pulse})

    def on_connection_close(self):
        if self._held is not None:
            self._held.over.set()


HANDLERS = [("/api/visa/pulse", PulseHandler)]
