"""A person's pulse: a word that is another one as soon as anything has changed that their pages show.

A page that is open holds one call (`calls/pulse.py`), which costs next to nothing while nothing happens, and
asks for its contents only when it is told. The pulse says that something has changed, never what.

What is committed tells by itself whom it concerns. What sessions keep in memory alone, such as the step of a
start or an engine that does not answer, is looked at a few times a second, for those who hold a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from visa_spawner.asked.admission import Admission
from visa_spawner.running.turns import in_turns

from .changes import Concerned, changes

log = logging.getLogger(__name__)

#: Seconds between two looks at what is in memory; after which somebody who does not ask is forgotten.
TICK, FORGOTTEN = 0.25, 600
#: Calls of one person that are held: a browser holds one, however many tabs it has.
MOST = 6


class Held:
    """One call that is held, with the token by which it was made."""

    def __init__(self, token: orm.APIToken):
        self._token, self.over = token, asyncio.Event()

    def is_good(self, db: Session) -> bool:
        """Whether its token still opens anything: a logout deletes it, as does the end of an account."""
        return self._token in db and not self._token.expired


class _Person:
    """What was seen last of one person's."""

    def __init__(self):
        self.asked = time.monotonic()
        self.change()
        self.stamp: tuple | None = None
        #: The sessions of others that they are let into: owner's id and name; None: not known now.
        self.shared: list[tuple[int, str]] | None = None
        self.held: list[Held] = []

    def change(self) -> None:
        """Have another pulse: by chance, since a number would say how much happens to others."""
        self.pulse = secrets.token_hex(8)


class Pulses:
    """All people's; of the hub's one thread."""

    def __init__(self):
        self._people: dict[int, _Person] = {}
        self._waiting = Concerned()
        self._task: asyncio.Task | None = None
        changes().listeners.append(self._waiting_for)

    def _waiting_for(self, what: Concerned) -> None:
        if self._people:
            self._waiting.add(what)

    def of(self, app: JupyterHub, user: User) -> str:
        """The pulse now. To be asked for before what it stands for: nothing can be missed then."""
        person = self._people.get(user.id)
        if person is None:
            person = self._people[user.id] = _Person()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch(app))
        person.asked = time.monotonic()
        self._settle(app)
        self._look(app, user, person)
        return person.pulse

    async def next(self, app: JupyterHub, user: User, held: Held, last: str, seconds: float) -> str:
        """The pulse as soon as it is another one than `last`, or after so many seconds.

        Sooner too when `held.over` is set, as for one of too many. Empty when its token is not good any more.
        """
        pulse = self.of(app, user)
        if pulse != last:
            return pulse
        person = self._people[user.id]
        person.held.append(held)
        while len(person.held) > MOST:
            person.held.pop(0).over.set()
        try:
            async with asyncio.timeout(seconds):
                await held.over.wait()
        except TimeoutError:
            pass
        finally:
            if held in person.held:
                person.held.remove(held)
        return self.of(app, user) if held.is_good(app.db) else ""

    @property
    def held(self) -> int:
        """How many calls are held now."""
        return sum(len(person.held) for person in self._people.values())

    # Looking -----------------------------------------------------------------------------------------
    async def _watch(self, app: JupyterHub) -> None:
        """For as long as anybody is remembered."""
        while self._people:
            await asyncio.sleep(TICK)
            async for user_id, person in in_turns(self._people.items()):
                try:
                    self._settle(app)
                    self._look_at(app, user_id, person)
                except Exception as error:
                    log.exception("what has changed for user %s is not known; it is looked at again", user_id)
                    if isinstance(error, SQLAlchemyError):
                        app.db.rollback()

    def _look_at(self, app: JupyterHub, user_id: int, person: _Person) -> None:
        if not person.held:
            if time.monotonic() - person.asked > FORGOTTEN:
                self._people.pop(user_id, None)
            return
        user = dict.get(app.users, user_id)
        before = person.pulse
        if user is not None and user.orm_user in app.db:
            self._look(app, user, person)
        else:
            person.change()
        for held in list(person.held):
            if person.pulse != before or not held.is_good(app.db):
                held.over.set()

    def _look(self, app: JupyterHub, user: User, person: _Person) -> None:
        if person.shared is None:
            person.shared = _shared_with(app.db, user.id)
        stamp = _stamp(app, user, person.shared)
        if person.stamp is not None and stamp != person.stamp:
            person.change()
        person.stamp = stamp

    # What commits have told --------------------------------------------------------------------------
    def _settle(self, app: JupyterHub) -> None:
        if not self._waiting:
            return
        what, known = self._waiting, self._people.keys()
        # It waits on where the database fails, or nobody would ever be told.
        told = known if what.everything else known & _people(app.db, what)
        self._waiting = Concerned()
        for user_id in told:
            person = self._people[user_id]
            person.shared = None
            person.change()
            for held in person.held:
                held.over.set()


def _people(db: Session, what: Concerned) -> set[int]:
    """Ids of those whose pages show what has changed."""
    found = what.people | what.holders
    names = what.owners | what.seen
    if names:
        found |= {row.id for row in db.query(orm.User.id).filter(orm.User.name.in_(names))}
    if what.sessions:
        rows = [db.get(orm.Spawner, one) for one in what.sessions]
        found |= {row.user_id for row in rows if row is not None}
        found |= {
            row.user_id for row in db.query(orm.Share.user_id).filter(orm.Share.spawner_id.in_(what.sessions))
        }
    return found


def _shared_with(db: Session, user_id: int) -> list[tuple[int, str]]:
    rows = db.query(orm.Spawner.user_id, orm.Spawner.name).join(
        orm.Share, orm.Share.spawner_id == orm.Spawner.id
    )
    return sorted((row.user_id, row.name) for row in rows.filter(orm.Share.user_id == user_id))


def _stamp(app: JupyterHub, user: User, shared: list[tuple[int, str]]) -> tuple:
    """All of it that no commit tells of."""
    own = tuple(_of_session(user, row) for name, row in user.orm_user.orm_spawners.items() if name)
    others = []
    for owner_id, name in shared:
        owner = dict.get(app.users, owner_id)
        row = owner.orm_user.orm_spawners.get(name) if owner else None
        others.append(_of_session(owner, row) if row else None)
    return own, tuple(others)


def _of_session(owner: User, row: orm.Spawner) -> tuple:
    spawner = owner.spawners.get(row.name)
    if not isinstance(spawner, Admission):
        return row.name, row.display_name
    status = spawner.child_spawner.status if spawner.child_spawner else None
    told = (status.state, status.words) if status else None
    flags = spawner.pending, spawner.active, spawner.ready
    return row.name, row.display_name, spawner.kept, flags, spawner.steps.last, told


_pulses = Pulses()


def pulses() -> Pulses:
    """The hub's one collection."""
    return _pulses
