"""After a rollback: what the database session has forgotten is read again many rows at once.

A rollback, for whatever reason, makes SQLAlchemy forget each row that it holds, and read it again when it is
next asked for: one question for each person and each session, asked by whatever goes through all of them.
With 5,000 sessions a hub stood still for 40 s so.
"""

from __future__ import annotations

import asyncio
import logging
from functools import wraps

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy import event, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, lazyload, selectinload

log = logging.getLogger(__name__)

#: Rows that are read at once; some milliseconds, after which others have their turn.
ROWS = 200
#: What the hub asks of every session, and of whoever has one.
WANTED = {orm.User: (), orm.Spawner: (selectinload(orm.Spawner.server),)}


class ReadAgain:
    """Follows one database session, that of the hub's event loop."""

    def __init__(self, db: Session):
        self.db = db
        self._reading: asyncio.Task | None = None
        self._forgotten = False
        event.listen(db, "after_soft_rollback", self._rolled_back)

    def _rolled_back(self, db: Session, transaction) -> None:
        if transaction.nested:
            return
        self._forgotten = True
        if self._reading and not self._reading.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the hub does not run yet
        self._reading = loop.create_task(self._read())

    async def _read(self) -> None:
        try:
            while self._forgotten:
                self._forgotten = False
                for kind, more in WANTED.items():
                    await self._read_all(kind, more)
        except SQLAlchemyError as error:
            log.warning("What was rolled back could not be read again at once: %s", error)

    async def _read_all(self, kind, more) -> None:
        last = self.db.query(func.max(kind.id)).scalar() or 0
        for first in range(0, last + 1, ROWS):
            some = self.db.query(kind).filter(kind.id >= first, kind.id < first + ROWS)
            some.options(lazyload("*"), *more).all()
            await asyncio.sleep(0)


def join_hub() -> None:
    """Have the hub read so; harmless when done already. Must come before it opens its database."""
    stock = JupyterHub.init_db
    if getattr(stock, "visa", False):
        return

    @wraps(stock)
    def init_db(app):
        stock(app)
        app._visa_read_again = ReadAgain(app.db)

    init_db.visa = True
    JupyterHub.init_db = init_db
