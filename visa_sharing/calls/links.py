"""Invitation links, by the session's owner."""

from __future__ import annotations

from pydantic import Field
from tornado import web

from .. import links
from ..audit.record import record
from ..database import Link
from .callers import Body, PersonHandler
from .members import Role


class NewLink(Body):
    """How long (hours), how often, and as what a link lets people in."""

    role: Role
    hours: float = Field(gt=0, allow_inf_nan=False)
    uses: int = Field(ge=1)


class LinksHandler(PersonHandler):
    """Make one."""

    async def post(self, owner, name):
        spawner = self.owned(owner, name)
        wanted = self.body(NewLink)
        most_hours, most_uses = self.sharing.link_max_hours, self.sharing.link_max_uses
        if wanted.hours > most_hours:
            raise web.HTTPError(400, f"hours: at most {most_hours:g}")
        if wanted.uses > most_uses:
            raise web.HTTPError(400, f"uses: at most {most_uses}")
        link, code = links.make(
            self.db, spawner, **wanted.model_dump(), who=self.current_user.name, address=self.address
        )
        self.db.commit()
        self.answer(links.told(link) | {"code": code}, 201)


class LinkHandler(PersonHandler):
    """Revoke one; who came by it stays."""

    async def delete(self, owner, name, link_id):
        spawner = self.owned(owner, name)
        link = self.db.query(Link).filter_by(id=int(link_id), spawner_id=spawner.id).first()
        if link is None:
            raise web.HTTPError(404, "link: there is none of that number")
        if not link.revoked:
            link.revoked = True
            names = {"owner": owner, "session": name, "who": self.current_user.name, "role": link.role}
            record(self.db, "link-revoked", **names, address=self.address, link=link.id)
            self.db.commit()
        self.answer(None)


HANDLERS = [
    (r"/api/visa/sharing/([^/]+)/([^/]+)/links", LinksHandler),
    (r"/api/visa/sharing/([^/]+)/([^/]+)/links/(\d{1,9})", LinkHandler),
]
