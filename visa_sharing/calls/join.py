"""POST visa/join: come in by an invitation link."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from pydantic import Field
from tornado import web

from visa_spawner.api import report

from .. import accounts, links
from .callers import Body, PersonHandler

NOTHING = "code: this link opens nothing; it may have been used up, revoked or expired"
#: So many refused codes of one person within so many seconds, and no more are looked at for a while.
MOST, WITHIN = 20, 60

_refused: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MOST))


class Code(Body):
    """What an invitation link carries."""

    code: str = Field(min_length=1, max_length=200)


class JoinHandler(PersonHandler):
    """Whoever has a code and may be there is let in."""

    async def post(self):
        user, code = self.person(), self.body(Code).code
        refused = _refused[user.name]
        if len(refused) == MOST and time.monotonic() - refused[0] < WITHIN:
            raise web.HTTPError(429, "code: too many links that open nothing; wait a minute")
        try:
            joined = await links.join(self.app, user, code, self.address)
        except links.Refused as refusal:
            refused.append(time.monotonic())
            raise web.HTTPError(refusal.status, refusal.words or NOTHING) from None
        owner = self.app.users[joined.spawner.user]
        session = report.session(owner, joined.spawner, with_log=False)
        told = {name: session[name] for name in ("owner", "name", "title", "url")}
        full_name = await accounts.full_name(owner)
        self.answer(told | {"owner_full_name": full_name, "role": joined.role})


HANDLERS = [("/api/visa/join", JoinHandler)]
