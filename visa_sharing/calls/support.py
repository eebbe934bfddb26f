"""Calls of support: staff look for sessions, ask to join, take requests for help; owners ask and answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Literal

from jupyterhub import orm
from pydantic import Field
from tornado import web

from .. import asks, help, support
from ..database import Request
from ..staff import Staff, roles_for, staff
from ..supported import Sessions
from ..table import instruments_of
from .callers import UNKNOWN, Body, OwnerOrSessionHandler, PersonHandler
from .queries import Search

#: What people write to each other.
MAX_MESSAGE = 2000


class Wish(Body):
    role: Literal["viewer", "collaborator"]
    message: str = Field("", max_length=MAX_MESSAGE)


class Numbered(Body):
    request: int = Field(ge=1, lt=2**31)


class Answer(Numbered):
    answer: Literal["as-asked", "watch", "decline"]


class Plea(Body):
    message: str = Field(min_length=1, max_length=MAX_MESSAGE)


class Closing(Body):
    words: str = Field("", max_length=MAX_MESSAGE)


@contextmanager
def in_words():
    """Tell a conflict as a 409, and what is not there as a 404."""
    try:
        yield
    except support.Conflict as error:
        raise web.HTTPError(409, str(error)) from None
    except support.NotThere as error:
        raise web.HTTPError(404, str(error)) from None


class StaffHandler(PersonHandler):
    """A call by somebody of the staff."""

    async def staff(self) -> Staff:
        """Who calls, as staff; a person who may help nowhere finds nothing."""
        return await staff(self.person(), self.sharing)

    async def helped(self, owner: str, name: str) -> tuple[orm.Spawner, tuple[str, ...]]:
        """The session, and by which roles the caller may help there; raises 404 for whoever may not."""
        spawner = self.row(owner, name)
        roles = await roles_for(self.app, self.person(), spawner) if spawner else ()
        if not roles or spawner not in self.db:
            raise web.HTTPError(404, UNKNOWN)
        return spawner, roles


class SupportHandler(StaffHandler, Search):
    """What the page Support shows."""

    async def get(self):
        person = await self.staff()
        sessions = Sessions(self.app, person)
        found, more = await sessions.search(self.sought())
        self.answer(
            {
                "sessions": found,
                "more": more,
                "help": await help.listed(self.app, person, sessions.experimental),
                "asks": await asks.listed(self.app, person, sessions.experimental),
                "may": {"all": bool(person.everywhere), "instruments": sorted(person.instruments)},
            }
        )


class SupportedHandler(StaffHandler):
    """One session, closely."""

    async def get(self, owner, name):
        row = self.row(owner, name)
        person = await self.staff()
        sessions = Sessions(self.app, person)
        found = await sessions.closely(row) if row else None
        if found is None:
            raise web.HTTPError(404, UNKNOWN)
        found["asks"] = await asks.listed(self.app, person, sessions.experimental, only=row)
        found["help"] = await help.listed(self.app, person, sessions.experimental, only=row)
        self.answer(found)


class AskHandler(StaffHandler):
    """Ask to join; take it back, or leave."""

    async def post(self, owner, name):
        spawner, roles = await self.helped(owner, name)
        wish = self.body(Wish)
        person = self.current_user.orm_user
        with in_words():
            row = support.ask(
                self.db,
                spawner,
                person,
                wish.role,
                wish.message.strip(),
                staff_roles=roles,
                settings=self.sharing,
                address=self.address,
            )
        self.answer(await asks.told(self.app, row, spawner), 201)

    async def delete(self, owner, name):
        spawner = self.row(owner, name)
        person = self.person().orm_user
        # Whoever may not help here any more may still leave.
        if spawner is None or not support.withdraw(self.db, spawner, person, address=self.address):
            raise web.HTTPError(404, UNKNOWN)
        self.answer(None)


class SecondHandler(StaffHandler):
    """Agree to what a colleague asked for, in the owner's absence."""

    async def post(self, owner, name):
        spawner, _ = await self.helped(owner, name)
        number = self.body(Numbered).request
        colleague = self.current_user.orm_user
        with in_words():
            row = await support.second(self.app, spawner, number, colleague, address=self.address)
        self.answer(await asks.told(self.app, row, spawner))


class AnswersHandler(OwnerOrSessionHandler):
    """The owner's answer, on the portal or inside the session."""

    async def post(self, owner, name):
        spawner, by_session = self.spoken_for(owner, name)
        said = self.body(Answer)
        with in_words():
            await support.answer(
                self.app, spawner, said.request, said.answer, address=self.address, inside=by_session
            )
        self.answer(None)


class HelpHandler(PersonHandler):
    """The owner asks for help, and takes that back."""

    async def post(self, owner, name):
        spawner = self.owned(owner, name)
        message = self.body(Plea).message.strip()
        if not message:
            raise web.HTTPError(400, "message: say what you need help with")
        instruments = tuple(sorted(await instruments_of(self.app, spawner)))
        with in_words():
            help.ask(self.db, spawner, message, instruments=instruments, address=self.address)
        self.answer(await help.open_help(self.app, spawner), 201)

    async def delete(self, owner, name):
        if not help.withdraw(self.db, self.owned(owner, name), address=self.address):
            raise web.HTTPError(404, "request: you have not asked for help with this session")
        self.answer(None)


class HelpStepHandler(StaffHandler):
    """Staff take a request for help, or close it."""

    async def post(self, number, step):
        closing = self.body(Closing) if step == "close" else None
        person = await self.staff()
        row = self.db.get(Request, int(number)) if len(number) < 10 else None
        spawner = self.db.get(orm.Spawner, row.spawner_id) if row and row.kind == help.HELP else None
        roles = await roles_for(self.app, self.current_user, spawner) if spawner else ()
        if not roles:
            raise web.HTTPError(404, "request: there is none of that number that you may know of")
        with in_words():
            if step == "take":
                help.take(self.db, spawner, row, person, roles[0], address=self.address)
            else:
                help.close(self.db, spawner, row, person, closing.words.strip(), address=self.address)
        self.answer(await help.told(self.app, row, spawner, await instruments_of(self.app, spawner)))


HANDLERS = [
    ("/api/visa/support", SupportHandler),
    (r"/api/visa/support/help/(\d+)/(take|close)", HelpStepHandler),
    (r"/api/visa/support/([^/]+)/([^/]+)", SupportedHandler),
    (r"/api/visa/support/([^/]+)/([^/]+)/ask", AskHandler),
    (r"/api/visa/support/([^/]+)/([^/]+)/second", SecondHandler),
    (r"/api/visa/sharing/([^/]+)/([^/]+)/answers", AnswersHandler),
    (r"/api/visa/sharing/([^/]+)/([^/]+)/help", HelpHandler),
]
