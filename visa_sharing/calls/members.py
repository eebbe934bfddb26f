"""The members of a session, by its owner: let in, change, end."""

from __future__ import annotations

from typing import Literal

from jupyterhub import orm
from jupyterhub.user import User
from pydantic import Field
from tornado import web

from .. import accounts, entries, grants, table
from ..audit.record import record
from ..database import PERSON, SUPPORT, TEAM, Grant, Link, TeamShare
from ..rights import Experiments, NotKnown, Standing, standing
from ..roles import COLLABORATOR
from ..team import unshare
from .callers import UNKNOWN, Body, OwnerOrSessionHandler

#: What a member may be.
Role = Literal["viewer", "collaborator"]

NOT_KNOWN = "name: which experiments they may see is not known now; try again in a minute"


class NewMember(Body):
    """Whom to let in as what; `despite`: experiments the owner agrees to show them."""

    name: str = Field(min_length=1, max_length=255)
    role: Role
    despite: list[str] = Field([], max_length=100)


class NewRole(Body):
    """What a member is from now on."""

    role: Role


class _Members:
    """What calls about members share."""

    async def standing_of(self, user: User, spawner: orm.Spawner) -> Standing:
        """How somebody stands to this session; raises 503 where that is not known now."""
        try:
            return await standing(user, spawner, Experiments.of(self.catalogue))
        except NotKnown:
            raise web.HTTPError(503, NOT_KNOWN) from None

    async def told(self, spawner: orm.Spawner, name: str) -> dict:
        """One member as the calls tell it; raises 404 where there is none."""
        present = entries.present(self.db, spawner)
        for member in await table.members(self.app, spawner):
            if member.name == name:
                return member.told(present)
        raise web.HTTPError(404, "name: is no member any more")

    def share(self, spawner: orm.Spawner, name: str) -> orm.Share:
        """The share of a member; raises 404 where there is none."""
        user = orm.User.find(self.db, name)
        share = grants.share_of(self.db, spawner, user) if user else None
        if share is None:
            raise web.HTTPError(404, "name: is no member of this session")
        return share


class MembersHandler(_Members, OwnerOrSessionHandler):
    """Let somebody in by name; end all."""

    async def post(self, owner, name):
        spawner = self.owned(owner, name)
        wanted = self.body(NewMember)
        user = self.find_user(wanted.name)
        if user is None:
            unknown = (
                "name: nobody with that account has logged in here yet; ask them to, or send them a link"
            )
            raise web.HTTPError(404, unknown)
        if user.id == spawner.user_id:
            raise web.HTTPError(409, "name: this is your own session")
        stands = await self.standing_of(user, spawner)
        # Who has only to log in again may be let in before: it holds from when they have.
        if stands.unvouched not in ("", accounts.LOGIN_NEEDED):
            self._refuse(spawner, user, wanted.role, f"name: {stands.full_name} {stands.unvouched}")
        despite = self._agreed(stands, wanted, spawner, user)
        share = grants.share_of(self.db, spawner, user.orm_user)
        grant = self.db.get(Grant, share.id) if share else None
        if grant is not None and grant.way == SUPPORT:
            raise web.HTTPError(409, "name: support is here already; end that first")
        who, address = self.current_user.name, self.address
        grants.welcome(self.db, spawner, user.orm_user)
        grants.give(
            self.db,
            spawner,
            user.orm_user,
            wanted.role,
            way=PERSON,
            who=who,
            despite=despite,
            address=address,
        )
        self.db.commit()
        self.answer(await self.told(spawner, user.name), 201)

    def _agreed(
        self, stands: Standing, wanted: NewMember, spawner: orm.Spawner, user: User
    ) -> tuple[str, ...]:
        """The experiments that the owner shows them in spite of their rights; raises 403 or 409."""
        if not stands.hidden:
            return ()
        names = ", ".join(stands.hidden)
        if not self.sharing.outsiders_may_watch:
            self._refuse(spawner, user, wanted.role, f"name: {stands.full_name} {stands.why}")
        if wanted.role == COLLABORATOR:
            words = f"role: {stands.full_name} may not see {names} and can only watch{stands.until}"
            self._refuse(spawner, user, wanted.role, words)
        if not set(wanted.despite).issuperset(stands.hidden):
            raise NeedsAgreement(f"despite: {stands.full_name} {stands.why}", stands.hidden)
        return stands.hidden

    def _refuse(self, spawner: orm.Spawner, user: User, role: str, words: str):
        names = {"owner": spawner.user.name, "session": spawner.name, "whom": user.name, "role": role}
        who = self.current_user.name
        record(self.db, "member-refused", **names, who=who, address=self.address, why=words)
        self.db.commit()
        raise web.HTTPError(403, words)

    def write_error(self, status_code, **kwargs):
        """A question to the owner carries the experiments that it is about."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, NeedsAgreement):
            self.write({"status": 409, "message": error.log_message, "experiments": error.experiments})
        else:
            super().write_error(status_code, **kwargs)

    async def delete(self, owner, name):
        """End all, and every way in by itself: the teams are not shared with any more, the links revoked."""
        spawner, by_session = self.spoken_for(owner, name)
        who, address = spawner.user.name, self.address
        why = "the owner ended all" + (", from inside the session" if by_session else "")
        for row in self.db.query(TeamShare).filter_by(spawner_id=spawner.id).all():
            unshare(self.app, spawner, row, who=who, why=why, address=address)
        for share, _grant in grants.shares_of(self.db, spawner):
            grants.end(self.db, share, who=who, why=why, address=address)
        for link in self.db.query(Link).filter_by(spawner_id=spawner.id, revoked=False).all():
            link.revoked = True
            names = {"owner": owner, "session": name, "who": who, "role": link.role}
            record(self.db, "link-revoked", **names, address=address, link=link.id)
        self.db.commit()
        self.answer(None)


class MemberHandler(_Members, OwnerOrSessionHandler):
    """One member."""

    async def patch(self, owner, name, member):
        spawner = self.owned(owner, name)
        role = self.body(NewRole).role
        share = self.share(spawner, member)
        grant = self.db.get(Grant, share.id)
        if grant is not None and grant.way == SUPPORT and role == COLLABORATOR:
            raise web.HTTPError(409, "role: support asks to do more by itself")
        if role == COLLABORATOR:
            stands = await self.standing_of(self.app.users[share.user], spawner)
            if stands.hidden and (grant is None or grant.way != SUPPORT):
                names = ", ".join(stands.hidden)
                words = f"role: {stands.full_name} may not see {names} and can only watch{stands.until}"
                raise web.HTTPError(403, words)
            share = self.share(spawner, member)
        grants.change(self.db, share, role, who=self.current_user.name, address=self.address)
        self.db.commit()
        self.answer(await self.told(spawner, member))

    async def delete(self, owner, name, member):
        spawner, who, why = await self._ending(owner, name, member)
        share = self.share(spawner, member)
        grant = self.db.get(Grant, share.id)
        # Whoever leaves a team's session would be let in again at once; by a link they may come back.
        stays_out = who != member or (grant is not None and grant.way == TEAM)
        grants.end(self.db, share, who=who, why=why, address=self.address, not_again=stays_out)
        self.db.commit()
        self.answer(None)

    async def _ending(self, owner: str, name: str, member: str) -> tuple[orm.Spawner, str, str]:
        """Session, who ends it, and why; raises 404 for whoever may not."""
        spawner = self.row(owner, name)
        if self.is_session():
            return self.spoken_for(owner, name)[0], owner, "the owner ended it, from inside the session"
        person = self.person()
        if spawner is not None and person.id != spawner.user_id:
            if person.name == member:
                return spawner, member, "left"
            if await self.is_administrator(person):
                return spawner, person.name, "an administrator ended it"
            raise web.HTTPError(404, UNKNOWN)
        return self.owned(owner, name), owner, "the owner ended it"


class NeedsAgreement(web.HTTPError):
    """The owner has to say that these experiments may be seen by somebody who may not see them."""

    def __init__(self, words: str, experiments: tuple[str, ...]):
        super().__init__(409, words)
        self.experiments = list(experiments)


HANDLERS = [
    (r"/api/visa/sharing/([^/]+)/([^/]+)/members", MembersHandler),
    (r"/api/visa/sharing/([^/]+)/([^/]+)/members/([^/]+)", MemberHandler),
]
