"""Support: asks to join a session, with its owner's consent, for a limited time."""

from __future__ import annotations

from datetime import datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import Session

from . import accounts
from .audit.record import record
from .database import Request, now
from .grants import iso


def _open(db: Session, spawner: orm.Spawner):
    return db.query(Request).filter_by(spawner_id=spawner.id, kind="join", state="open").order_by(Request.id)


async def open_requests(app: JupyterHub, spawner: orm.Spawner) -> list[dict]:
    """Support's requests to join that wait for the owner's answer, as the line and `Sharing` tell them."""
    answer = []
    for row in _open(app.db, spawner).all():
        staff = orm.User.find(app.db, row.staff)
        answer.append(
            {
                "id": row.id,
                "name": row.staff,
                "full_name": await accounts.full_name(app.users[staff]) if staff else row.staff,
                "role": row.role,
                "message": row.message,
                "made": iso(row.made_at),
                "lapses": iso(row.lapses_at),
            }
        )
    return answer


def settle(db: Session, spawner: orm.Spawner) -> datetime | None:
    """Let lapse what has waited too long, and commit; returns when the next one does, None for never."""
    due = None
    for row in _open(db, spawner).all():
        if row.lapses_at is None:
            continue
        if row.lapses_at > now():
            due = min(due or row.lapses_at, row.lapses_at)
            continue
        row.state = "lapsed"
        names = {"owner": spawner.user.name, "session": spawner.name, "whom": row.staff, "role": row.role}
        record(db, "support-lapsed", **names, request=row.id)
    db.commit()
    return due
