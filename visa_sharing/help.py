"""An owner asks for help; the instrument's staff take it and close it.

Taking a request opens nothing: whoever takes it talks to the owner, and asks to join like anybody of the
staff if they have to see the session.
"""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy import update
from sqlalchemy.orm import Query, Session

from . import notices, support
from .audit.record import record
from .changes import touched
from .database import Request, now
from .grants import iso
from .staff import Experimental, Staff
from .support import Conflict

HELP = "help"
OPEN, TAKEN, CLOSED, WITHDRAWN = "open", "taken", "closed", "withdrawn"


def _waiting(db: Session) -> Query:
    return db.query(Request).filter(Request.kind == HELP, Request.state.in_((OPEN, TAKEN)))


def _of(db: Session, spawner: orm.Spawner) -> Request | None:
    return _waiting(db).filter(Request.spawner_id == spawner.id).order_by(Request.id.desc()).first()


async def open_help(app: JupyterHub, spawner: orm.Spawner) -> dict | None:
    """The request for help of this session that is not closed, as the line and `Sharing` tell it."""
    row = _of(app.db, spawner)
    if row is None:
        return None
    answer = {"id": row.id, "message": row.message, "made": iso(row.made_at)}
    return answer | {"staff": await support.full_name(app, row.staff)}


def ask(
    db: Session, spawner: orm.Spawner, message: str, *, instruments: tuple[str, ...], address: str
) -> Request:
    """Ask the staff for help, also with a session that does not run; committed. Raises Conflict."""
    if _of(db, spawner) is not None:
        raise Conflict("session: you have asked for help with it already")
    row = Request(spawner_id=spawner.id, kind=HELP, message=message)
    db.add(row)
    db.flush()
    details = {"message": message, "instruments": list(instruments)}
    _line(db, "help-asked", spawner, row, who=spawner.user.name, address=address, **details)
    db.commit()
    return row


def withdraw(db: Session, spawner: orm.Spawner, *, address: str) -> bool:
    """Take the request back, taken or not; committed. False when there was none."""
    row = _of(db, spawner)
    if row is None:
        return False
    row.state, row.answered_at = WITHDRAWN, now()
    _line(db, "help-withdrawn", spawner, row, who=spawner.user.name, whom=row.staff, address=address)
    db.commit()
    return True


def take(db: Session, spawner: orm.Spawner, row: Request, person: Staff, role: str, *, address: str) -> None:
    """Take it, if nobody else has; committed. Raises Conflict."""
    # One statement decides, whatever this process believes it knows.
    taken = db.execute(
        update(Request)
        .where(Request.id == row.id, Request.state == OPEN)
        .values(state=TAKEN, staff=person.name, staff_role=role, answered_at=now())
        .execution_options(synchronize_session="fetch")
    )
    if taken.rowcount != 1:
        fresh = db.get(Request, row.id, populate_existing=True)
        raise Conflict(f"request: {_over(fresh, person) if fresh else 'its session was removed'}")
    owner = spawner.user.name
    _line(db, "help-taken", spawner, row, who=person.name, whom=owner, address=address, staff_role=role)
    db.commit()
    touched([spawner.id])


def close(
    db: Session, spawner: orm.Spawner, row: Request, person: Staff, words: str, *, address: str
) -> None:
    """Close it with a word for the owner; committed. By whoever took it, or staff of all sessions.

    Raises Conflict.
    """
    if row.state not in (OPEN, TAKEN):
        raise Conflict(f"request: {_over(row, person)}")
    if row.staff != person.name and not person.everywhere:
        raise Conflict("request: take it first" if row.state == OPEN else f"request: {_over(row, person)}")
    row.state, row.staff, row.words, row.answered_at = CLOSED, row.staff or person.name, words, now()
    owner, title = spawner.user.name, spawner.display_name or spawner.name
    said = f"{person.full_name} closed your request for help with {title}" + (f": {words}" if words else ".")
    notices.send(db, spawner, said, who=person.name)
    _line(db, "help-closed", spawner, row, who=person.name, whom=owner, address=address, words=words)
    db.commit()


async def listed(
    app: JupyterHub, person: Staff, experimental: Experimental, *, only: orm.Spawner | None = None
) -> list[dict]:
    """Requests that this member of staff may take, has taken, or sees that a colleague has; newest last.

    Of one session alone, where `only` names it.
    """
    rows = _waiting(app.db).join(orm.Spawner, orm.Spawner.id == Request.spawner_id)
    if only is not None:
        rows = rows.filter(Request.spawner_id == only.id)
    answer = []
    for row, spawner in rows.add_entity(orm.Spawner).order_by(Request.id).all():
        experiments = await experimental.of_session(spawner)
        if person.roles_for(spawner.user.name, experiments):
            answer.append(await told(app, row, spawner, {one.instrument for one in experiments}))
    return answer


async def told(app: JupyterHub, row: Request, spawner: orm.Spawner, instruments: set[str]) -> dict:
    """One, as `Help` of docs/developers/sharing.md."""
    return {
        "id": row.id,
        "owner": spawner.user.name,
        "owner_full_name": await support.full_name(app, spawner.user.name),
        "name": spawner.name,
        "title": spawner.display_name or spawner.name,
        "instruments": sorted(instruments),
        "message": row.message,
        "state": row.state,
        "staff": row.staff,
        "staff_full_name": await support.full_name(app, row.staff),
        "made": iso(row.made_at),
    }


def _over(row: Request, person: Staff) -> str:
    if row.state == TAKEN:
        return "you have taken it already" if row.staff == person.name else "a colleague has taken it"
    return "its owner took it back" if row.state == WITHDRAWN else "it is closed"


def _line(db: Session, what: str, spawner: orm.Spawner, row: Request, **more) -> None:
    record(db, what, owner=spawner.user.name, session=spawner.name, request=row.id, **more)
