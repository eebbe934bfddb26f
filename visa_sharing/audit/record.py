"""Write a line of the audit log in the same transaction as what it tells of."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ..database import Event


def record(
    db: Session,
    what: str,
    *,
    owner: str = "",
    session: str = "",
    who: str = "",
    whom: str = "",
    role: str = "",
    address: str = "",
    key: str | None = None,
    **details,
) -> Event:
    """Add one line; the caller commits it together with the change.

    `owner` and `session` name the session it is about, `who` did it, `whom` it was done to, `role` what
    they are or were given, `address` where `who` came from.
    """
    event = Event(
        what=what,
        owner=owner,
        session=session,
        who=who,
        whom=whom,
        role=role,
        address=address,
        key=key,
        details=details,
    )
    db.add(event)
    return event
