"""Invitation links: a code that lets whoever has it and may be there into one session, so often, so long."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from sqlalchemy import update
from sqlalchemy.orm import Session

from visa_spawner.site import VisaSite

from . import grants
from .audit.record import record
from .database import LINK, Link, NotAgain, now
from .rights import Experiments, NotKnown, standing
from .roles import role_of

#: Random bytes in a code.
BYTES = 32


class Refused(Exception):
    """The code opens nothing to this person; `why` is for the log, `words` for them, "" for none."""

    def __init__(self, why: str, *, words: str = "", status: int = 404):
        super().__init__(why)
        self.why, self.words, self.status = why, words, status


@dataclass(frozen=True)
class Joined:
    """The session a code led to, and as what."""

    spawner: orm.Spawner
    role: str


def digest_of(code: str) -> str:
    """What is kept of a code: it has so much chance in it that a plain digest cannot be turned back."""
    return hashlib.sha256(code.encode()).hexdigest()


def make(
    db: Session, spawner: orm.Spawner, *, role: str, hours: float, uses: int, who: str, address: str
) -> tuple[Link, str]:
    """A new link and its code, which is not kept. Added, not committed."""
    code = secrets.token_urlsafe(BYTES)
    link = Link(
        spawner_id=spawner.id,
        digest=digest_of(code),
        role=role,
        expires=now() + timedelta(hours=hours),
        max_uses=uses,
        made_by=who,
    )
    db.add(link)
    db.flush()
    names = {"owner": spawner.user.name, "session": spawner.name, "who": who, "role": role}
    record(db, "link-made", **names, address=address, link=link.id, expires=link.expires, max_uses=uses)
    return link, code


def is_live(link: Link) -> bool:
    """Whether it lets anybody in any more."""
    return not link.revoked and link.expires > now() and link.uses < link.max_uses


def told(link: Link) -> dict:
    """As `Link` of docs/developers/sharing.md, without the code."""
    return {
        "id": link.id,
        "role": link.role,
        "expires": grants.iso(link.expires),
        "uses": link.uses,
        "max_uses": link.max_uses,
        "made": grants.iso(link.made_at),
        "live": is_live(link),
    }


async def join(app: JupyterHub, user: User, code: str, address: str) -> Joined:
    """Let this person in by a code; committed, with its lines in the log either way. Raises Refused.

    Whoever is in already stays what they are, and costs the link nothing.
    """
    link = app.db.query(Link).filter_by(digest=digest_of(code)).first()
    spawner = app.db.get(orm.Spawner, link.spawner_id) if link else None
    try:
        if spawner is None:
            raise Refused("there is no such link")
        return await _join(app, user, link, spawner, address)
    except Refused as refusal:
        names = {"owner": spawner.user.name, "session": spawner.name, "role": link.role} if spawner else {}
        details = {"link": link.id} if spawner else {}
        record(app.db, "link-refused", **names, who=user.name, address=address, why=refusal.why, **details)
        app.db.commit()
        raise


async def _join(app: JupyterHub, user: User, link: Link, spawner: orm.Spawner, address: str) -> Joined:
    db = app.db
    if user.id == spawner.user_id:
        raise Refused("the session's own owner", words="code: this is your own session", status=409)
    _check_link(link)
    # What the facility says comes first, since it may take a while; what the link says is asked again then.
    try:
        stands = await standing(user, spawner, Experiments.of(VisaSite.of(app.config).catalogue))
    except NotKnown:
        words = "code: which experiments you may see is not known at the moment; try again in a minute"
        raise Refused("the catalogue did not answer", words=words, status=503) from None
    if stands.unvouched:
        raise Refused(stands.unvouched, words=f"code: your account {stands.unvouched}", status=403)
    if spawner not in db or link not in db:
        raise Refused("the session was removed meanwhile")
    _check_link(link)
    share = grants.share_of(db, spawner, user.orm_user)
    if share is not None and role_of(share):
        return Joined(spawner, role_of(share))
    if stands.hidden:
        words = "code: this session has, or had, data that you may not see; ask its owner what to do"
        raise Refused(stands.why, words=words, status=403)
    if db.get(NotAgain, (spawner.id, user.id)) is not None:
        raise Refused("the owner has ended this person's membership before")
    _use(db, link)
    names = {"owner": spawner.user.name, "session": spawner.name, "who": user.name, "role": link.role}
    record(db, "link-used", **names, address=address, link=link.id)
    grants.give(
        db,
        spawner,
        user.orm_user,
        link.role,
        way=LINK,
        by_way_of=str(link.id),
        # Where the guest came from stands in the line above.
        who=link.made_by,
    )
    db.commit()
    return Joined(spawner, link.role)


def _check_link(link: Link) -> None:
    if link.revoked:
        raise Refused("the link was revoked")
    if link.expires <= now():
        raise Refused("the link has expired")


def _use(db: Session, link: Link) -> None:
    """Count one use; the database decides who gets the last one."""
    counted = db.execute(
        update(Link)
        .where(
            Link.id == link.id,
            Link.uses < Link.max_uses,
            Link.revoked.is_(False),
            Link.expires > now(),
        )
        .values(uses=Link.uses + 1)
        .execution_options(synchronize_session=False)
    )
    if counted.rowcount != 1:
        raise Refused("the link was used up")
    db.refresh(link)
