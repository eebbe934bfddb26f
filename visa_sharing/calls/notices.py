"""Calls about words for people: what somebody is to be shown, and that they have read a message."""

from __future__ import annotations

from tornado import web

from visa_spawner.api.calls import SessionHandler

from .. import support
from ..database import Notice, now
from ..notices import instruments_of, notices_for
from ..plain import others
from ..pulse import pulses
from .callers import OwnerOrSessionHandler, PersonHandler


class NoticesHandler(PersonHandler):
    """Announcements for the caller, messages that they have not read, and support's open requests to them."""

    async def get(self):
        person = self.person()
        pulse = pulses().of(self.app, person)  # before what it stands for
        instruments = await instruments_of(self.app, person, await self.account(person))
        asking = [
            {"session": name} | request
            for name, spawner in dict(person.orm_user.orm_spawners).items()
            if spawner.id in others()
            for request in await support.open_requests(self.app, spawner)
        ]
        found = notices_for(self.db, person.name, instruments)
        self.answer({"pulse": pulse, "notices": found, "asking": asking})


class SeenHandler(OwnerOrSessionHandler):
    """The caller has read a message; inside a session, its owner has."""

    async def post(self, number):
        notice = self.db.get(Notice, int(number)) if len(number) < 10 else None
        if notice is None or notice.account not in ("", self._reader()):
            raise web.HTTPError(404, "notice: there is none of that number for you")
        if not notice.account:
            raise web.HTTPError(409, "notice: an announcement is shown for as long as it holds")
        if notice.seen_at is None:
            notice.seen_at = now()
            self.db.commit()
        self.answer(None)

    def _reader(self) -> str:
        token = self.get_token()
        if token is not None and (token.note or "").startswith("Server at "):
            return SessionHandler.session(self).user.name
        return self.person().name


HANDLERS = [
    ("/api/visa/notices", NoticesHandler),
    (r"/api/visa/notices/(\d+)/seen", SeenHandler),
]
