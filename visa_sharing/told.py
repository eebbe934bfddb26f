"""Lines of the audit log about what somebody else than our calls did.

The hub's own API for shares, the removal of a session or of an account: what happens to shares there is
written down in the same commit, so that no way in or out leaves the log. So are a session's later end, and a
start that came to nothing.
"""

from __future__ import annotations

from jupyterhub import orm
from sqlalchemy import inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import instance_state

from visa_spawner.kept.state import Kept
from visa_spawner.session import State

from . import roles
from .audit.record import record
from .database import TEAM, Grant, NotAgain

#: Where a share's line has been written by whoever changed it.
_MARK = "_visa_told"
BY_HUB = "by the hub's own API"


def by_us(share: orm.Share) -> None:
    """The line for what is done to this share until the next flush is written by the caller."""
    setattr(share, _MARK, True)


def done(share: orm.Share) -> None:
    """What happens to it from here on is not by the caller any more."""
    share.__dict__.pop(_MARK, None)


def before_flush(session: Session) -> None:
    """Write what is to be told of the shares that this flush makes, changes or removes."""
    for share in [row for row in session.new if isinstance(row, orm.Share)]:
        if roles.role_of(share):
            _tell(session, share, "member-granted", way="hub")
    for share in [row for row in session.dirty if isinstance(row, orm.Share)]:
        if inspect(share).attrs["_scopes"].history.has_changes():
            _tell_change(session, share)
    for share in [row for row in deleted(session) if isinstance(row, orm.Share)]:
        if _MARK not in share.__dict__:
            _tell_end(session, share)
    for row in [row for row in session.dirty if isinstance(row, orm.Spawner)]:
        if inspect(row).attrs.state.history.has_changes():
            _tell_time(session, row)


def _tell_time(session: Session, row: orm.Spawner) -> None:
    """A running session that ends later, stands still, or has other data than before; one that has ended."""
    now = Kept.read(row.state)
    if now.phase == "starting" or row.user is None:
        return
    before = Kept.read(session.query(orm.Spawner.state).filter_by(id=row.id).scalar())
    if before.phase and not now.phase and now.outcome:
        never_ran = before.phase == "starting" and now.outcome.state is State.FAILED
        what = "start-failed" if never_ran else "session-ended"
        record(session, what, owner=row.user.name, session=row.name, why=now.outcome.words)
        return
    if not now.phase:
        return
    same_run = before.phase == "running" and before.running == now.running
    if same_run and before.ends and now.ends and now.ends > before.ends:
        who = row.user.name
        record(session, "session-extended", owner=who, session=row.name, who=who, until=now.ends)
    if same_run and now.suspended != before.suspended:
        what = "session-suspended" if now.suspended else "session-resumed"
        record(session, what, owner=row.user.name, session=row.name, who=row.user.name)
    if same_run and now.data != before.data:
        _tell_data(session, row, [one.id for one in before.data], [one.id for one in now.data])


def _tell_data(session: Session, row: orm.Spawner, before: list[str], now: list[str]) -> None:
    """What came into a running session, and what left it, which only its owner can have."""
    names = {"owner": row.user.name, "session": row.name, "who": row.user.name}
    for one in now:
        if one not in before:
            record(session, "data-added", **names, experiment=one)
    for one in before:
        if one not in now:
            record(session, "data-removed", **names, experiment=one)


def _tell_end(session: Session, share: orm.Share) -> None:
    grant = session.get(Grant, share.id)
    why = _why_gone(session, share)
    _tell(session, share, "member-ended", way=grant.way if grant else "hub", why=why)
    if why == BY_HUB and grant is not None and grant.way == TEAM:
        # Or the team that they are still on would let them in again at once.
        key = {"spawner_id": share.spawner_id, "user_id": share.user_id}
        if session.get(NotAgain, tuple(key.values())) is None:
            session.add(NotAgain(**key))


def _tell_change(session: Session, share: orm.Share) -> None:
    # What it had before is not at hand; what it has now decides what there is to tell.
    if roles.role_of(share):
        _tell(session, share, "member-changed", way="hub")
    else:
        _tell(session, share, "member-ended", way="hub", why=BY_HUB)


def deleted(session: Session) -> list:
    """The rows that this flush removes: the hub deletes an account by its wrapper, which is no row."""
    return [instance_state(row).obj() for row in session.deleted]


def _why_gone(session: Session, share: orm.Share) -> str:
    rows = deleted(session)
    if share.user in rows:
        return "the account was removed from the hub"
    if share.spawner in rows or share.owner in rows:
        return "the session was removed"
    return BY_HUB


def _tell(session: Session, share: orm.Share, what: str, **details) -> None:
    if share.__dict__.pop(_MARK, False) or share.user is None or share.spawner is None:
        return
    record(
        session,
        what,
        owner=share.owner.name,
        session=share.spawner.name,
        whom=share.user.name,
        role=roles.role_of(share),
        **details,
    )
