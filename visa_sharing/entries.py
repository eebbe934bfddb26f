"""Who is in a session at this moment, by what the session said of comings and goings."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyterhub import orm
from sqlalchemy import func
from sqlalchemy.orm import Session

from visa_spawner.kept.state import Kept

from . import grants
from .audit.record import record
from .database import Event, now
from .roles import COLLABORATOR, role_of

ENTERED, LEFT = "entered", "left"
_OF_MEMBERS = ("member-granted", "member-changed", "member-ended")


def started(spawner: orm.Spawner) -> datetime | None:
    """When the session that runs was started, in UTC without a time zone; None when none runs."""
    moment = Kept.read(spawner.state).started
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None


def present(db: Session, spawner: orm.Spawner) -> dict[str, datetime]:
    """Names of those who are in, each with the time of the last entry.

    Counted from the log, so that a restarted hub knows it too; from this start on, since a session that
    ends without a word has let nobody leave.
    """
    since = started(spawner)
    if since is None:
        return {}
    rows = (
        db.query(Event.who, Event.what, func.count(), func.max(Event.at))
        .filter(
            Event.owner == spawner.user.name,
            Event.session == spawner.name,
            Event.what.in_((ENTERED, LEFT)),
            Event.at >= since,
        )
        .group_by(Event.who, Event.what)
    )
    counts: dict[str, int] = {}
    last: dict[str, datetime] = {}
    for who, what, count, at in rows:
        counts[who] = counts.get(who, 0) + (count if what == ENTERED else -count)
        if what == ENTERED:
            last[who] = at
    return {who: last[who] for who, count in counts.items() if count > 0 and who in last}


def worked(db: Session, spawner: orm.Spawner) -> list[str]:
    """Names of those, but its owner, who were in this run and could do more than watch at some time of it.

    An entry tells the role at that moment alone: a collaborator comes as a viewer while the owner is away.
    """
    since = started(spawner)
    if since is None:
        return []
    of_this_run = db.query(Event).filter(
        Event.owner == spawner.user.name,
        Event.session == spawner.name,
        Event.what.in_((ENTERED, *_OF_MEMBERS)),
        Event.at >= since,
    )
    entered = set()
    able = {share.user.name for share, _ in grants.shares_of(db, spawner) if role_of(share) == COLLABORATOR}
    for event in of_this_run:
        if event.what == ENTERED:
            entered.add(event.who)
        if COLLABORATOR in (event.role, event.details.get("was")):
            able.add(event.who if event.what == ENTERED else event.whom)
    return sorted((entered & able) - {spawner.user.name})


def note(
    db: Session,
    spawner: orm.Spawner,
    *,
    key: str,
    name: str,
    role: str,
    what: str,
    at: datetime,
    address: str,
) -> None:
    """Write one coming or going down, once for each key. Added, not committed.

    `at` is in UTC without a time zone; it is moved into the time that the session has run.
    """
    if db.query(Event.id).filter(Event.key == key).first():
        return
    names = {"owner": spawner.user.name, "session": spawner.name, "who": name, "role": role}
    event = record(db, what, **names, address=address, key=key)
    event.at = max(min(at, now()), started(spawner) or at)
