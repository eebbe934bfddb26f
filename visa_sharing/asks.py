"""Support's requests to join as the staff's page shows them."""

from __future__ import annotations

from datetime import timedelta

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from . import support
from .database import SUPPORT, Grant, Request, now
from .grants import iso, share_of
from .roles import VIEWER, role_of
from .settings import VisaSharing
from .staff import Experimental, Staff

#: How long one's own requests that are over stay listed.
LISTED = timedelta(hours=24)


async def listed(
    app: JupyterHub, person: Staff, experimental: Experimental, only: orm.Spawner | None = None
) -> list[dict]:
    """This person's own, and those of colleagues that they may agree to; newest first.

    `only` those to join one session.
    """
    db, after = app.db, now() - LISTED
    rows = db.query(Request, orm.Spawner).join(orm.Spawner, orm.Spawner.id == Request.spawner_id)
    rows = rows.filter(Request.kind == support.JOIN, Request.made_at > after).order_by(Request.id.desc())
    if only is not None:
        rows = rows.filter(Request.spawner_id == only.id)
    answer = []
    for row, spawner in rows.all():
        support.settle(db, spawner)
        mine = row.staff == person.name
        if mine or await may_second(app, row, spawner, person, experimental):
            answer.append(await told(app, row, spawner, may_second=not mine))
    return answer


async def may_second(
    app: JupyterHub, row: Request, spawner: orm.Spawner, person: Staff, experimental: Experimental
) -> bool:
    """Whether it makes sense to offer this: `support.second` has the last word."""
    if VisaSharing.of(app.config).owner_absent != "two-staff" or row.state != support.LAPSED:
        return False
    if row.staff == person.name or row.lapses_at + support.SECOND_WITHIN < now():
        return False
    if support.newer(app.db, row) or not support.runs(spawner):
        return False
    roles = person.roles_for(spawner.user.name, await experimental.of_session(spawner))
    return any(role != row.staff_role for role in roles)


async def told(app: JupyterHub, row: Request, spawner: orm.Spawner, may_second: bool = False) -> dict:
    """One, as `Ask` of docs/developers/sharing.md."""
    db, person = app.db, orm.User.find(app.db, row.staff)
    share = share_of(db, spawner, person) if person else None
    grant = db.get(Grant, share.id) if share else None
    inside = grant is not None and grant.way == SUPPORT and grant.by_way_of == str(row.id)
    return {
        "id": row.id,
        "owner": spawner.user.name,
        "owner_full_name": await support.full_name(app, spawner.user.name),
        "name": spawner.name,
        "title": spawner.display_name or spawner.name,
        "role": role_of(share) if inside else row.role,
        "message": row.message,
        "state": row.state,
        "made": iso(row.made_at),
        "lapses": iso(row.lapses_at),
        "until": iso(grant.until) if inside else None,
        "words": _words(row, role_of(share) if inside else row.role),
        "url": app.users[spawner.user].server_url(spawner.name) if inside else "",
        "staff": row.staff,
        "staff_full_name": await support.full_name(app, row.staff),
        "may_second": may_second,
    }


def _words(row: Request, role: str) -> str:
    if row.state == support.ACCEPTED:
        return "You can watch." if role == VIEWER else "You can work together."
    return {
        support.OPEN: "The owner has been asked.",
        support.DECLINED: "The owner declined.",
        support.LAPSED: "The owner did not answer in time.",
        support.WITHDRAWN: "It was withdrawn, or the session ended.",
        support.ENDED: "It is over.",
    }[row.state]
