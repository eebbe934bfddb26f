"""Write a line of the audit log in the same transaction as what it tells of."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from ..database import Event
from .kinds import check, moment


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
    they are or were given, `address` where `who` came from. Times among the details may be datetimes in
    UTC; a detail that is None is left out. Raises Unfit for a line that its schema
    (`schemas/*.yaml`) does not allow: nothing is done that cannot be told.
    """
    told = {name: _plain(value) for name, value in details.items() if value is not None}
    line = {
        "what": what,
        "owner": owner,
        "session": session,
        "who": who,
        "whom": whom,
        "role": role,
        "address": address,
        "details": told,
    }
    check(line)
    event = Event(**line, key=key)
    db.add(event)
    return event


def _plain(value):
    if not isinstance(value, datetime):
        return value
    return moment(value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value)
