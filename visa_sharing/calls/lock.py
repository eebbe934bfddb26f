"""Lock a session: nobody else acts while its owner is away."""

from __future__ import annotations

from .. import table
from ..audit.record import record
from ..database import SessionPolicy
from .callers import Body, PersonHandler


class Lock(Body):
    """Whether it is locked from now on."""

    locked: bool


class LockHandler(PersonHandler):
    """The owner locks and unlocks."""

    async def put(self, owner, name):
        spawner = self.owned(owner, name)
        locked = self.body(Lock).locked
        if locked != table.is_locked(self.app, spawner):
            row = self.db.get(SessionPolicy, spawner.id)
            if row is None:
                row = SessionPolicy(spawner_id=spawner.id)
                self.db.add(row)
            row.locked = locked
            names = {"owner": owner, "session": name, "who": self.current_user.name}
            record(self.db, "locked" if locked else "unlocked", **names, address=self.address)
            self.db.commit()
        self.answer(None)


HANDLERS = [(r"/api/visa/sharing/([^/]+)/([^/]+)/lock", LockHandler)]
