"""Notices what a commit to the hub's database changes about who is in a session, whoever made it.

Our own calls, the hub's API for shares and groups, a login, a refresh, an account that is deleted: all of
them pass through the hub's one database session, so this listens there and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from jupyterhub import orm
from sqlalchemy import event, inspect
from sqlalchemy.orm import Session, sessionmaker

from . import database, told

#: Our tables whose rows concern one session each.
_OF_A_SESSION = (database.SessionPolicy, database.TeamShare, database.Request, database.NotAgain)
#: What of a session's own row decides who may be in it: what it holds and whether it is there. Its
#: activity, which changes all the time, does not.
_OF_THE_ROW = ("state", "server_id", "name")


class Concerned:
    """What has been committed and not been looked at yet."""

    def __init__(self):
        self.sessions: set[int] = set()  #: ids of orm.Spawner rows
        self.involved: set[int] = set()  #: of these sessions, whom others than the owner have to do with
        self.people: set[int] = set()  #: ids of orm.User rows: their rights, their account
        self.owners: set[str] = set()  #: names: all of their sessions
        self.joined: set[int] = set()  #: of these people, who may be in a team or see more than before
        self.holders: set[int] = set()  #: ids of orm.User rows that a share is, or was, with
        self.seen: set[str] = set()  #: names: of owners in whose sessions somebody came or went
        self.everything = False

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def add(self, other: Concerned) -> None:
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, mine | value)


class Changes:
    """The hub's one collection of what has changed; `wait` is for the keeper alone."""

    def __init__(self):
        self._waiting = Concerned()
        self._something = asyncio.Event()
        #: Called with each change, as soon as it is committed; must be quick and not raise.
        self.listeners: list[Callable[[Concerned], None]] = []

    def add(self, what: Concerned) -> None:
        self._waiting.add(what)
        self._something.set()
        for listener in self.listeners:
            listener(what)

    async def wait(self) -> Concerned:
        """What has changed since the last time, as soon as there is something."""
        await self._something.wait()
        return self.taken()

    def involves(self, spawner_id: int) -> bool:
        """Whether somebody else than its owner has been let into this session, or the like, since then."""
        return spawner_id in self._waiting.involved

    def taken(self) -> Concerned:
        """What has changed since the last time, which may be nothing."""
        self._something.clear()
        found, self._waiting = self._waiting, Concerned()
        return found


_changes = Changes()


def changes() -> Changes:
    """The hub's one collection."""
    return _changes


def touched(spawner_ids: Iterable[int]) -> None:
    """Have the tables of these sessions made anew and told; `spawner_ids` are ids of `orm.Spawner` rows.

    Rarely needed: a commit that changes shares, groups, accounts or our tables says so by itself.
    """
    what = Concerned()
    what.sessions.update(spawner_ids)
    _changes.add(what)


def listen(factory: sessionmaker) -> None:
    """Listen to all database sessions that the hub makes from this factory."""
    # The factory's own class: other factories in this process, as tests have, are none of our business.
    event.listen(factory, "before_flush", _before_flush)
    event.listen(factory, "after_flush", _after_flush)
    event.listen(factory, "after_commit", _after_commit)
    event.listen(factory, "after_rollback", _after_rollback)


def _before_flush(session: Session, _context, _instances) -> None:
    told.before_flush(session)
    # Rows that the database takes away by itself would otherwise stay known to the session, whose keys
    # SQLite gives out again.
    for row in told.deleted(session):
        if isinstance(row, orm.Share) and (grant := session.get(database.Grant, row.id)):
            session.delete(grant)
        if isinstance(row, orm.Spawner) and row.id is not None:
            for kind in (*_OF_A_SESSION, database.Link):
                for ours in session.query(kind).filter_by(spawner_id=row.id):
                    session.delete(ours)
        if isinstance(row, orm.User) and row.id is not None:
            for ours in session.query(database.NotAgain).filter_by(user_id=row.id):
                session.delete(ours)
        if isinstance(row, orm.Group):
            _pending(session).people.update(user.id for user in row.users)


def _after_flush(session: Session, _context) -> None:
    # Keys are known by now, and what was changed is still remembered.
    what = _pending(session)
    for row in session.new:
        _changed(what, row, fresh=True)
    for row in session.dirty:
        # What of these rows counts is looked at by itself; all of the others' would be looked at for nothing.
        if isinstance(row, (orm.Spawner, orm.User, orm.Group)) or session.is_modified(row):
            _changed(what, row, fresh=False)
    for row in told.deleted(session):
        _changed(what, row, fresh=True)


def _after_commit(session: Session) -> None:
    what = session.info.pop("visa_changes", None)
    if what:
        _changes.add(what)


def _after_rollback(session: Session) -> None:
    session.info.pop("visa_changes", None)


def _pending(session: Session) -> Concerned:
    return session.info.setdefault("visa_changes", Concerned())


def _changed(what: Concerned, row, *, fresh: bool) -> None:
    """Note what one row means; `fresh`: it is new or gone, so that all of it counts."""
    if isinstance(row, (orm.Share, *_OF_A_SESSION)):
        if row.spawner_id is not None:
            what.sessions.add(row.spawner_id)
            what.involved.add(row.spawner_id)
        if isinstance(row, orm.Share) and row.user_id is not None:
            what.holders.add(row.user_id)
    elif isinstance(row, orm.Spawner):
        if fresh or _differs(row, *_OF_THE_ROW):
            what.sessions.add(row.id)
    elif isinstance(row, orm.User):
        if fresh or _differs(row, "groups", "encrypted_auth_state", "admin", "name"):
            what.people.add(row.id)
            if fresh or _differs(row, "groups", "admin") or _is_vouched_for_again(row):
                what.joined.add(row.id)
    elif isinstance(row, orm.Group):
        history = inspect(row).attrs.users.history
        people = [*(history.added or ()), *(history.deleted or ())]
        what.people.update(user.id for user in people if user is not None)
        what.joined.update(user.id for user in history.added or () if user is not None)
    elif isinstance(row, database.Event):
        if row.what in ("entered", "left"):
            what.seen.add(row.owner)
    elif isinstance(row, database.Notice):
        if row.account:
            what.owners.add(row.account)
        else:
            what.everything = True


def _is_vouched_for_again(user: orm.User) -> bool:
    """Whether an auth state has come where there was none."""
    history = inspect(user).attrs.encrypted_auth_state.history
    return bool(history.added and history.added[0]) and not (history.deleted and history.deleted[0])


def _differs(row, *names: str) -> bool:
    state = inspect(row)
    return any(state.attrs[name].history.has_changes() for name in names)
