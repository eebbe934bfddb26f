"""Who calls: the person, the owner of a session, the session itself, staff, an administrator.

Each call says by one of these who may; everything else is refused. A session that the caller may not know
of is a 404, whether it is there or not.
"""

from __future__ import annotations

import json
from typing import TypeVar

from jupyterhub import orm
from jupyterhub.user import User
from pydantic import BaseModel, ConfigDict, ValidationError
from tornado import web

from visa_catalogue import Catalogue
from visa_catalogue.account import Account, Role
from visa_session.address import address_of
from visa_spawner.api.calls import AccountHandler, SessionHandler

from .. import accounts
from ..settings import VisaSharing

#: Bytes that a body may have.
MAX_BODY = 64_000

#: The audit log's `address` of what an owner does from inside of their session, by its desktop or JupyterLab.
INSIDE = "the session"
UNKNOWN = "session: there is none of that name that you may know of"


class Body(BaseModel):
    """What a call takes: everything that is not named is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


Parsed = TypeVar("Parsed", bound=Body)


class _Calls:
    """What all of our calls have, whoever may make them."""

    @property
    def sharing(self) -> VisaSharing:
        return VisaSharing.of(self.app.config)

    @property
    def address(self) -> str:
        """Where the request came from; the portal passes on where its own came from."""
        return address_of(self.request, near=True)[:64]

    def body(self, model: type[Parsed]) -> Parsed:
        """The body as that model; raises a 400 that begins with the field at fault."""
        try:
            values = json.loads(self.request.body or b"{}") if len(self.request.body) <= MAX_BODY else None
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise web.HTTPError(400, "body: must be one JSON object, and a small one")
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise web.HTTPError(400, _first_fault(error)) from None

    def answer(self, value, status: int = 200) -> None:
        """Send JSON, or nothing but 204 when there is no value."""
        if value is None:
            self.set_status(204)
            return
        self.set_status(status)
        self.write(json.dumps(value))

    def row(self, owner: str, name: str) -> orm.Spawner | None:
        """The row of a session, None when there is none; the unnamed server is no session."""
        user = orm.User.find(self.db, owner)
        return user.orm_spawners.get(name) if user and name else None


class PersonHandler(_Calls, AccountHandler):
    """A call by a person for themselves; never by a service, a session, or what a session holds."""

    def person(self) -> User:
        """Who calls; their token must be good for sessions.

        One that only says who somebody is, as other services of the hub get of whoever logs in there, joins
        nothing and administers nothing.
        """
        user = super().person()
        if "servers" not in self.parsed_scopes:
            raise web.HTTPError(403, "token: it is not good for sessions")
        return user

    @property
    def catalogue(self) -> Catalogue:
        return self.site.catalogue

    async def account(self, user: User) -> Account:
        """As the login left it, with the teams and roles that the hub's groups say now."""
        return (await accounts.known(user)).account

    def owned(self, owner: str, name: str) -> orm.Spawner:
        """The caller's own session; raises 404 for everybody else.

        The token must be good for the owner's servers: one that may only read shares nothing.
        """
        person = self.person()
        spawner = self.row(owner, name)
        if spawner is None or spawner.user_id != person.id:
            raise web.HTTPError(404, UNKNOWN)
        if not self.has_scope(f"servers!server={owner}/{name}"):
            raise web.HTTPError(403, "token: it is not good for this session")
        return spawner

    async def is_administrator(self, user: User) -> bool:
        return bool(user.admin) or Role.ADMINISTRATOR in (await self.account(user)).roles

    async def administrator(self) -> User:
        """The administrator who calls; raises 403 for anybody else."""
        person = self.person()
        if not await self.is_administrator(person):
            raise web.HTTPError(403, "this is for administrators")
        return person


class OwnSessionHandler(_Calls, SessionHandler):
    """A call by a session with its own token."""


class OwnerOrSessionHandler(PersonHandler):
    """A call by a session's owner, or by the session itself for its owner."""

    _accept_cookie_auth = True

    @property
    def address(self) -> str:
        """The same; of a session's call only that it was one, since it could tell any address."""
        return INSIDE if self.is_session() else super().address

    def is_session(self) -> bool:
        """Whether a session calls, by its own token."""
        token = self.get_token()
        return token is not None and (token.note or "").startswith("Server at ")

    def spoken_for(self, owner: str, name: str) -> tuple[orm.Spawner, bool]:
        """The session, and whether it called by itself; raises 404 for everybody else."""
        if self.is_session():
            spawner = SessionHandler.session(self).orm_spawner
            if spawner.user.name != owner or spawner.name != name:
                raise web.HTTPError(404, UNKNOWN)
            return spawner, True
        return self.owned(owner, name), False

    async def refresh_auth(self, user, force=False):
        """What a session says does not wait for the identity provider; what its owner says does."""
        if self.is_session():
            return user
        return await super().refresh_auth(user, force)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    field = str(fault["loc"][0]) if fault["loc"] else "body"
    field = "".join(c for c in field if c.isprintable())[:40]
    if fault["type"] == "extra_forbidden":
        return f"{field}: is not known here"
    words = fault["msg"].removeprefix("Value error, ")
    return f"{field}: {words[:1].lower()}{words[1:]}"
