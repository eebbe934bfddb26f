"""Tells what the audit log's table holds: to the events file, and to the hub's event log for sites' handlers.

The table is the truth. This reads what was committed, by number, so that whatever happens to this process
between a commit and the file, the next one goes on where the file ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from datetime import datetime

from jupyter_events.logger import EventLogger
from sqlalchemy import event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from ..database import Event
from .file import EventsFile
from .kinds import PREFIX, as_line, kinds

log = logging.getLogger(__name__)

#: Lines read at a time: what is held in memory, and for how long the database is read at a stretch.
CHUNK = 200
#: Seconds until a file or a database that could not be used is tried again.
AGAIN = 5

_NEW = "visa_new_lines"


class Follower:
    """One a hub. A thread of its own does the work: a file on a dead disk holds up nobody's request."""

    def __init__(self, factory: sessionmaker, path: str, eventlog: EventLogger | None):
        self._engine = factory.kw["bind"]
        self._file = EventsFile(path) if path else None
        self._eventlog = eventlog
        self._told: int | None = None
        self._wake = threading.Event()
        self._closing = self._failed = False
        # A daemon: a file that hangs does not keep the hub from ending either.
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        for schema in kinds().values():
            if eventlog is not None and schema.id not in eventlog.schemas:
                eventlog.register_event_schema(schema._schema)
        event.listen(factory, "after_flush", _note)
        event.listen(factory, "after_commit", self._committed)
        event.listen(factory, "after_rollback", _forget)

    def begin(self) -> None:
        """Tell what earlier processes left untold, and from now on whatever is committed.

        Needs a running event loop.
        """
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, SQLAlchemyError):
            # Before anything new is committed; what is wrong with it is said at the first try to write.
            self._told = self._where()
        self._wake.set()
        self._thread.start()

    def close(self, seconds: float = 10) -> None:
        """Tell what is left and end; returns after so many seconds at most."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _committed(self, session: Session) -> None:
        if session.info.pop(_NEW, False):
            self._wake.set()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(AGAIN if self._failed else None)
            self._wake.clear()
            try:
                self._tell()
            except RuntimeError:
                return  # the loop is closed: the hub has ended, and the next one tells the rest
            except (OSError, SQLAlchemyError) as error:
                if not self._failed:
                    log.error("the audit log's file waits, and nothing is lost: %s", error)
                self._failed, self._told = True, None
            except Exception:
                log.exception("the audit log's file waits, and nothing is lost")
                self._failed = True

    def _tell(self) -> None:
        if self._told is None:
            self._told = self._where()
        while lines := self._after(self._told):
            if self._file is not None:
                self._file.append(lines)
            self._told = lines[-1]["id"]
            self._loop.call_soon_threadsafe(self._emit, lines)
        if self._failed:
            log.warning("the audit log's file is complete again")
        self._failed = False

    def _where(self) -> int:
        """The number after which to go on."""
        with self._engine.connect() as connection:
            newest = connection.execute(select(func.max(Event.id))).scalar() or 0
        if self._file is None:
            return newest
        last = self._file.last()
        if last > newest:
            log.error(
                "the audit log's file %s ends at line %d, the database at %d: it is another database, or an"
                " older state of it; the file goes on from there",
                self._file.path,
                last,
                newest,
            )
        return min(last, newest)

    def _after(self, number: int) -> list[dict]:
        rows = select(Event.__table__).where(Event.id > number).order_by(Event.id).limit(CHUNK)
        with self._engine.connect() as connection:
            return [as_line(row) for row in connection.execute(rows).all()]

    def _emit(self, lines: list[dict]) -> None:
        for line in lines if self._eventlog is not None else ():
            try:
                at = datetime.fromisoformat(line["at"]).replace(tzinfo=None)
                self._eventlog.emit(schema_id=PREFIX + line["what"], data=line, timestamp_override=at)
            except Exception:
                log.exception("a handler of the hub's event log failed on line %d", line["id"])


def _note(session: Session, _context) -> None:
    if any(isinstance(row, Event) for row in session.new):
        session.info[_NEW] = True


def _forget(session: Session) -> None:
    session.info.pop(_NEW, None)


def follow(factory: sessionmaker, path: str, eventlog: EventLogger | None) -> Follower | None:
    """Begin to tell; None for a database in memory, which only tests have and no second reader can share."""
    if isinstance(factory.kw["bind"].pool, StaticPool):
        return None
    follower = Follower(factory, path, eventlog)
    follower.begin()
    return follower
