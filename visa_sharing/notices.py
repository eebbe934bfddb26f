"""Words for people: announcements, and messages to one session's owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from sqlalchemy import event, or_
from sqlalchemy.orm import Session

from visa_catalogue import CatalogueError
from visa_catalogue.account import Account
from visa_catalogue.catalogue import Query
from visa_spawner.site import VisaSite

from .changes import Concerned, changes
from .database import Notice, now
from .grants import iso
from .staff import Experimental

log = logging.getLogger(__name__)

#: Seconds that a catalogue gets to say which instruments somebody has to do with.
PATIENCE = 2


def send(db: Session, spawner: orm.Spawner, words: str, *, who: str) -> Notice:
    """Words for a session's owner, shown on the portal and in it until seen. Added, not committed."""
    notice = Notice(words=words, made_by=who, account=spawner.user.name, session=spawner.name)
    db.add(notice)
    db.flush()
    return notice


def notices_for(
    db: Session, account: str, instruments: Collection[str] = (), session: str | None = None
) -> list[dict]:
    """What this account is to be shown now: announcements to all or to users of these instruments, and
    messages that it has not seen. With `session`, messages about another session are left out.
    """
    return Board(db, {account}).notices_for(account, instruments, session)


class Board:
    """The notices that hold now for these accounts, asked for once."""

    def __init__(self, db: Session, accounts: Collection[str]):
        self._rows = _live(db, *accounts)

    @property
    def has_instruments(self) -> bool:
        """Whether any is for the users of one instrument."""
        return any(row.instrument for row in self._rows)

    def notices_for(
        self, account: str, instruments: Collection[str] = (), session: str | None = None
    ) -> list[dict]:
        """As the function of that name."""
        found = []
        for row in self._rows:
            if row.account not in ("", account) or (row.instrument and row.instrument not in instruments):
                continue
            if row.account and session is not None and row.session not in ("", session):
                continue
            kind = "message" if row.account else "announcement"
            found.append({"id": row.id, "kind": kind, "words": row.words, "made": iso(row.made_at)})
        return found


def _live(db: Session, *accounts: str) -> list[Notice]:
    moment = now()
    return (
        db.query(Notice)
        .filter(
            Notice.since <= moment,
            or_(Notice.until.is_(None), Notice.until > moment),
            Notice.seen_at.is_(None),
            Notice.account.in_(("", *accounts)),
        )
        .order_by(Notice.id)
        .all()
    )


async def instruments_of(app: JupyterHub, user: User, account: Account) -> set[str]:
    """The instruments somebody has to do with, as far as an announcement that holds now asks for one.

    Those they look after, of their experiments, and of the experiments in their sessions.
    """
    if not any(row.instrument for row in _live(app.db, user.name)):
        return set()
    found = set(account.instruments)
    experimental = Experimental(app)
    for row in user.orm_spawners.values():
        found |= {experiment.instrument for experiment in await experimental.of_session(row)}
    try:
        async with asyncio.timeout(PATIENCE):
            mine = await VisaSite.of(app.config).catalogue.search(account, Query(scope="mine", limit=0))
        found |= set(mine.instruments)
    except (TimeoutError, CatalogueError, OSError) as error:
        log.warning("announcements are shown to %s without the catalogue's word: %r", user.name, error)
    return found


class Clock:
    """Has the sessions told when an announcement begins or is over: nothing is committed then."""

    def __init__(self, app: JupyterHub):
        self._app = app
        self._timer: asyncio.TimerHandle | None = None
        event.listen(Notice, "after_insert", self._changed)
        event.listen(Notice, "after_update", self._changed)

    def begin(self) -> None:
        """From now on; needs a running event loop."""
        self._set()

    def _changed(self, *_) -> None:
        # Not before the change is committed: the loop has its turn then.
        asyncio.get_running_loop().call_soon(self._set)

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = _next(self._app.db)
        if due is not None:
            # A day at most, which is as far as clocks of two kinds can be trusted to agree.
            seconds = min(max((due - now()).total_seconds(), 0) + 0.01, 86400)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._tell)

    def _tell(self) -> None:
        what = Concerned()
        what.everything = True
        changes().add(what)
        self._set()


def _next(db: Session) -> datetime | None:
    """When the next announcement begins or is over; None when none does."""
    moment = now()
    rows = db.query(Notice.since, Notice.until).filter(or_(Notice.since > moment, Notice.until > moment))
    times = [time for row in rows for time in row if time is not None and time > moment]
    return min(times, default=None)
