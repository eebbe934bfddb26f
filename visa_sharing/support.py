"""Support: asks to join a session, with its owner's consent, for a limited time.

An ask is open until it is answered, withdrawn, or has waited too long. What is let in ends by itself, with
the session's end, or when either side ends it; `grants.end` marks the ask as ended then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import Query, Session

from visa_spawner.kept.state import Kept
from visa_spawner.site import VisaSite

from . import accounts, grants, notices, staff
from .audit.record import record
from .database import SUPPORT, Grant, Request, now
from .grants import iso
from .rights import Experiments, NotKnown, standing
from .roles import VIEWER, role_of
from .settings import VisaSharing

JOIN = "join"
OPEN, ACCEPTED, DECLINED, LAPSED = "open", "accepted", "declined", "lapsed"
WITHDRAWN, ENDED = "withdrawn", "ended"
#: How long after an ask has lapsed a colleague may agree to it in the owner's absence.
SECOND_WITHIN = timedelta(hours=1)
NOT_RUNNING = "the session does not run"


class Conflict(Exception):
    """What was asked for cannot be done as things stand; the text, which begins with the field, says why."""


class NotThere(Exception):
    """There is no such request; the text, which begins with the field, says so."""


def runs(spawner: orm.Spawner) -> bool:
    """Whether the session runs or starts, as far as the hub knows."""
    return bool(Kept.read(spawner.state).phase)


def _open(db: Session, spawner: orm.Spawner) -> Query:
    return db.query(Request).filter_by(spawner_id=spawner.id, kind=JOIN, state=OPEN).order_by(Request.id)


async def open_requests(app: JupyterHub, spawner: orm.Spawner) -> list[dict]:
    """Support's requests to join that wait for the owner's answer, as the line and `Sharing` tell them."""
    settle(app.db, spawner)
    answer = []
    for row in _open(app.db, spawner).all():
        answer.append(
            {
                "id": row.id,
                "name": row.staff,
                "full_name": await full_name(app, row.staff),
                "role": row.role,
                "message": row.message,
                "made": iso(row.made_at),
                "lapses": iso(row.lapses_at),
            }
        )
    return answer


async def full_name(app: JupyterHub, name: str) -> str:
    """What people call an account; its name where the hub does not know it."""
    user = orm.User.find(app.db, name) if name else None
    return await accounts.full_name(app.users[user]) if user else name


def settle(db: Session, spawner: orm.Spawner) -> datetime | None:
    """End what has ended by itself, and commit; returns when the next ask lapses, None for never.

    Asks that have waited too long lapse. With the session's end, asks and what they let in are over: the
    owner agreed to somebody in the session that ran.
    """
    due, alive, changed = None, runs(spawner), False
    for row in _open(db, spawner).all():
        if not alive:
            row.state, row.answered_at = WITHDRAWN, now()
            _line(db, "support-withdrawn", spawner, row, why=NOT_RUNNING)
        elif row.lapses_at is not None and row.lapses_at <= now():
            row.state = LAPSED
            _line(db, "support-lapsed", spawner, row)
        else:
            due = min(due or row.lapses_at, row.lapses_at) if row.lapses_at else due
            continue
        changed = True
    if not alive:
        for share, grant in grants.shares_of(db, spawner):
            if grant is not None and grant.way == SUPPORT:
                grants.end(db, share, who="", why=NOT_RUNNING)
                changed = True
    if changed:
        db.commit()
    return due


def ask(
    db: Session,
    spawner: orm.Spawner,
    person: orm.User,
    role: str,
    message: str,
    *,
    staff_roles: tuple[str, ...],
    settings: VisaSharing,
    address: str,
) -> Request:
    """Ask the owner to be let in; committed. Raises Conflict.

    Nothing is awaited in here, so that asking twice at once gives one ask.
    """
    settle(db, spawner)
    if not runs(spawner):
        raise Conflict(f"session: {NOT_RUNNING}")
    if _open(db, spawner).filter_by(staff=person.name).first():
        raise Conflict("session: you have asked already, and wait for the owner's answer")
    share = grants.share_of(db, spawner, person)
    if share is not None:
        grant = db.get(Grant, share.id)
        if grant is None or grant.way != SUPPORT:
            raise Conflict("session: its owner has let you in already, as a member")
        if role_of(share) == role or role == VIEWER:
            raise Conflict("role: you are in already")
    row = Request(
        spawner_id=spawner.id,
        kind=JOIN,
        staff=person.name,
        staff_role=staff_roles[0],
        role=role,
        message=message,
        lapses_at=now() + timedelta(minutes=settings.ask_minutes),
    )
    db.add(row)
    db.flush()
    details = {"message": message, "staff_role": row.staff_role, "lapses": row.lapses_at}
    _line(db, "support-asked", spawner, row, by_staff=True, role=role, address=address, **details)
    db.commit()
    return row


def withdraw(db: Session, spawner: orm.Spawner, person: orm.User, *, address: str) -> bool:
    """Take back what this member of staff asked, and leave when they are in; False when there was neither."""
    settle(db, spawner)
    row = _open(db, spawner).filter_by(staff=person.name).first()
    share = grants.share_of(db, spawner, person)
    grant = db.get(Grant, share.id) if share else None
    inside = grant is not None and grant.way == SUPPORT
    if row is not None:
        row.state, row.answered_at = WITHDRAWN, now()
        _line(db, "support-withdrawn", spawner, row, by_staff=True, address=address)
    if inside:
        grants.end(db, share, who=person.name, why="support left", address=address)
    db.commit()
    return row is not None or inside


async def answer(
    app: JupyterHub, spawner: orm.Spawner, number: int, said: str, *, address: str, inside: bool
) -> None:
    """The owner's answer: "as-asked", "watch" or "decline"; committed. Raises Conflict, NotThere.

    `inside`: it was given in the session itself.
    """
    db, settings = app.db, VisaSharing.of(app.config)
    row = _find(db, spawner, number)
    person = orm.User.find(db, row.staff)
    still = bool(person) and bool(await staff.roles_for(app, app.users[person], spawner))
    if said != "decline" and still:
        await _check_what_has_left(app, spawner, person)
    settle(db, spawner)
    if row not in db or row.state != OPEN:
        raise Conflict(f"request: {_over(row) if row in db else NOT_RUNNING}")
    if said != "decline" and not still:
        row.state, row.answered_at = WITHDRAWN, now()
        _line(db, "support-withdrawn", spawner, row, why="they may not help here any more")
        db.commit()
        raise Conflict("request: this person may not help here any more")
    until = None
    if said != "decline":
        until = now() + timedelta(hours=settings.support_hours)
        role = VIEWER if said == "watch" else row.role
        _let_in(db, spawner, person, row, role, until, spawner.user.name, address)
    else:
        row.state, row.answered_at = DECLINED, now()
    details = {"answer": said, "until": until, "inside": inside or None}
    _line(db, "support-answered", spawner, row, who=spawner.user.name, address=address, **details)
    db.commit()


async def second(
    app: JupyterHub, spawner: orm.Spawner, number: int, colleague: orm.User, *, address: str
) -> Request:
    """A colleague of another role agrees that the asker goes in, since the owner did not answer; committed.

    Raises Conflict, NotThere. The owner reads of it at the next login, and in the session.
    """
    db, settings = app.db, VisaSharing.of(app.config)
    if settings.owner_absent != "two-staff":
        raise Conflict("request: this facility lets support in by the owner's consent alone")
    row = _find(db, spawner, number)
    if row.staff == colleague.name:
        raise Conflict("request: somebody else has to agree to what you asked for")
    person = orm.User.find(db, row.staff)
    theirs = await staff.roles_for(app, app.users[person], spawner) if person else ()
    mine = await staff.roles_for(app, app.users[colleague], spawner)
    names = await full_name(app, row.staff), await full_name(app, colleague.name)
    if theirs:
        await _check_what_has_left(app, spawner, person)
    settle(db, spawner)
    if row not in db or not runs(spawner):
        raise Conflict(f"session: {NOT_RUNNING}")
    if row.state != LAPSED:
        early = "the owner can still answer"
        raise Conflict(f"request: {early if row.state == OPEN else _over(row)}")
    if row.lapses_at + SECOND_WITHIN < now() or newer(db, row):
        raise Conflict("request: too much has happened since; ask the owner again")
    if not theirs:
        raise Conflict("request: this person may not help here any more")
    pairs = [(a, b) for a in theirs for b in mine if a != b]
    if not pairs:
        raise Conflict("request: somebody with another staff role has to agree")
    if grants.share_of(db, spawner, person) is not None:
        raise Conflict("request: they are in already")
    until = now() + timedelta(hours=settings.support_hours)
    _let_in(db, spawner, person, row, row.role, until, colleague.name, address)
    details = {"colleague_role": pairs[0][0], "staff_role": pairs[0][1], "until": until}
    line = {"who": colleague.name, "role": row.role, "address": address}
    _line(db, "support-seconded", spawner, row, **line, **details)
    title = spawner.display_name or spawner.name
    said = "to watch" if row.role == VIEWER else "to work in it"
    notices.send(
        db,
        spawner,
        f"While you did not answer, {names[0]} was let into your session {title} {said}, agreed to by"
        f" {names[1]}, until {until:%d %B %H:%M} UTC. You can end that under Sharing.",
        who=colleague.name,
    )
    db.commit()
    return row


async def _check_what_has_left(app: JupyterHub, spawner: orm.Spawner, person: orm.User) -> None:
    """Raise Conflict where they may not see what was taken away: no consent is about that."""
    if not Kept.read(spawner.state).taken:
        return
    experiments = Experiments.of(VisaSite.of(app.config).catalogue)
    try:
        stands = await standing(app.users[person], spawner, experiments)
    except NotKnown:
        words = "which experiments they may see is not known now; try again in a minute"
        raise Conflict(f"request: {words}") from None
    if stands.left:
        may_not = f"{stands.full_name} may not see {', '.join(stands.left)}"
        raise Conflict(f"request: {may_not}{stands.until}")


def _let_in(db, spawner, person, row, role, until, who, address) -> None:
    for earlier in db.query(Request).filter_by(spawner_id=spawner.id, staff=row.staff, state=ACCEPTED):
        earlier.state = ENDED
    row.state, row.answered_at = ACCEPTED, now()
    grants.give(
        db,
        spawner,
        person,
        role,
        way=SUPPORT,
        who=who,
        by_way_of=str(row.id),
        until=until,
        address=address,
    )


def _find(db: Session, spawner: orm.Spawner, number: int) -> Request:
    row = db.get(Request, number)
    if row is None or row.kind != JOIN or row.spawner_id != spawner.id:
        raise NotThere("request: there is none of that number")
    return row


def newer(db: Session, row: Request) -> bool:
    """Whether the asker has asked again since, so that this one counts no more."""
    later = db.query(Request.id).filter_by(spawner_id=row.spawner_id, kind=JOIN, staff=row.staff)
    return later.filter(Request.id > row.id).first() is not None


def _over(row: Request) -> str:
    return {
        LAPSED: "it has lapsed",
        WITHDRAWN: "it was withdrawn",
    }.get(row.state, "it has been answered")


def _line(db, what, spawner, row, *, by_staff=False, **more) -> None:
    """A line about an ask: by the staff person, or about them."""
    names = {"owner": spawner.user.name, "session": spawner.name}
    names |= {"who": row.staff, "whom": spawner.user.name} if by_staff else {"whom": row.staff}
    record(db, what, **names, request=row.id, **more)
