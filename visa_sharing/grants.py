"""Let somebody in, change what they are, end it: share, what is known of it, audit line in one commit."""

from __future__ import annotations

from datetime import datetime

from jupyterhub import orm
from sqlalchemy.orm import Session

from . import told
from .audit.record import record
from .database import SUPPORT, Grant, NotAgain, Request, now
from .roles import role_of, scopes_for


def share_of(db: Session, spawner: orm.Spawner, user: orm.User) -> orm.Share | None:
    """The share that somebody has of this session itself; the shares of their groups do not count."""
    return db.query(orm.Share).filter_by(spawner_id=spawner.id, user_id=user.id).first()


def shares_of(db: Session, spawner: orm.Spawner) -> list[tuple[orm.Share, Grant | None]]:
    """All people's shares of a session with what is known about each, in the order they were made."""
    rows = (
        db.query(orm.Share, Grant)
        .outerjoin(Grant, Grant.share_id == orm.Share.id)
        .filter(orm.Share.spawner_id == spawner.id, orm.Share.user_id.isnot(None))
        .order_by(orm.Share.id)
    )
    return [(share, grant) for share, grant in rows if share.user is not None]


def give(
    db: Session,
    spawner: orm.Spawner,
    user: orm.User,
    role: str,
    *,
    way: str,
    who: str,
    by_way_of: str = "",
    until: datetime | None = None,
    despite: tuple[str, ...] = (),
    address: str = "",
) -> orm.Share:
    """Let `user` in as `role`; whoever is in already gets exactly this instead. Added, not committed.

    `until` is in UTC without a time zone. `who` did it, from `address`.
    """
    share = share_of(db, spawner, user)
    what = "member-granted" if share is None else "member-changed"
    before = role_of(share) if share else ""
    if share is None:
        share = orm.Share(created_at=now(), owner=spawner.user, spawner=spawner, user=user, scopes=[])
        db.add(share)
    told.by_us(share)
    share.scopes = scopes_for(role, spawner)
    db.flush()
    told.done(share)
    grant = db.get(Grant, share.id)
    if grant is None:
        grant = Grant(share_id=share.id)
        db.add(grant)
    grant.role, grant.way, grant.by_way_of = role, way, by_way_of
    grant.granted_by, grant.granted_at = who, now()
    grant.until, grant.despite = until, " ".join(despite)
    details = {"way": way, "by_way_of": by_way_of or None, "until": until, "despite": list(despite) or None}
    _line(db, what, share, role, who, address, was=before or None, **details)
    return share


def change(db: Session, share: orm.Share, role: str, *, who: str, address: str = "") -> None:
    """Make somebody who is in another role, and nothing more than that. Added, not committed."""
    before, grant = role_of(share), db.get(Grant, share.id)
    if grant is not None:
        grant.role = role
    if before == role:
        return
    told.by_us(share)
    share.scopes = scopes_for(role, share.spawner)
    db.flush()
    told.done(share)
    way = grant.way if grant else "hub"
    _line(db, "member-changed", share, role, who, address, was=before or None, way=way)


def end(
    db: Session, share: orm.Share, *, who: str, why: str, address: str = "", not_again: bool = False
) -> None:
    """Take a share away. Added, not committed.

    `why` is for the log. `not_again`: neither team nor link lets this person in again by itself.
    """
    grant = db.get(Grant, share.id)
    way = grant.way if grant else "hub"
    _line(db, "member-ended", share, role_of(share), who, address, way=way, why=why)
    if not_again and db.get(NotAgain, (share.spawner_id, share.user_id)) is None:
        db.add(NotAgain(spawner_id=share.spawner_id, user_id=share.user_id))
    if way == SUPPORT and grant.by_way_of.isdigit():
        request = db.get(Request, int(grant.by_way_of))
        if request is not None and request.state == "accepted":
            request.state = "ended"
    told.by_us(share)
    db.delete(share)
    # At once: until then the row would still be found, and the person's own list of shares would hold it.
    db.flush()


def welcome(db: Session, spawner: orm.Spawner, user: orm.User) -> None:
    """Forget that this person was ended before."""
    row = db.get(NotAgain, (spawner.id, user.id))
    if row is not None:
        db.delete(row)


def iso(moment: datetime | None) -> str | None:
    """A time of the database as the calls and the log write it."""
    return moment.isoformat(timespec="seconds") + "+00:00" if moment else None


def _line(db, what, share, role, who, address, **details) -> None:
    record(
        db,
        what,
        owner=share.owner.name,
        session=share.spawner.name,
        who=who,
        whom=share.user.name,
        role=role,
        address=address,
        **details,
    )
