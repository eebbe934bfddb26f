"""Words for people: announcements, and messages to one session's owner."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import or_
from sqlalchemy.orm import Session

from .database import Notice, now
from .grants import iso


def notices_for(
    db: Session, account: str, instruments: Collection[str] = (), session: str | None = None
) -> list[dict]:
    """What this account is to be shown now: announcements to all or to users of these instruments, and
    messages that it has not seen. With `session`, messages about another session are left out.
    """
    moment = now()
    rows = (
        db.query(Notice)
        .filter(
            Notice.since <= moment,
            or_(Notice.until.is_(None), Notice.until > moment),
            Notice.seen_at.is_(None),
            Notice.account.in_(("", account)),
        )
        .order_by(Notice.id)
    )
    found = []
    for row in rows:
        if row.instrument and row.instrument not in instruments:
            continue
        if row.account and session is not None and row.session not in ("", session):
            continue
        kind = "message" if row.account else "announcement"
        found.append({"id": row.id, "kind": kind, "words": row.words, "made": iso(row.made_at)})
    return found
