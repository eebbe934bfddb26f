"""Sessions that nobody but their owner has to do with: most of them, told many at a time.

A restarted hub hears of all sessions within seconds, and to settle each by itself takes a dozen questions to
the database. Of a session without a share, a team, a request or a lock there is nothing to ask: its table has
its owner, its end, and the notices, which are asked for once for many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import Session

from visa_spawner.running.turns import in_turns

from . import accounts, notices
from .changes import changes
from .database import NotAgain, Request, SessionPolicy, TeamShare
from .line import Line, lines
from .settings import VisaSharing
from .table import instruments_of, of_its_run

#: Sessions whose notices are asked for at once.
AT_ONCE = 100


def involved(db: Session) -> set[int]:
    """Ids of the sessions that somebody but their owner has, or had, to do with."""
    found = set()
    for kind in (orm.Share, TeamShare, Request, SessionPolicy, NotAgain):
        found |= {row.spawner_id for row in db.query(kind.spawner_id).distinct()}
    return found - {None}


class Others:
    """Which sessions those are, from when that was asked on: commits tell the rest by themselves."""

    def __init__(self):
        self._ids: set[int] | None = None

    def follow(self, db: Session, more: set[int]) -> None:
        """Take in what commits have told; asks once for all that was before."""
        if self._ids is None:
            self._ids = involved(db)
        self._ids |= more

    def __contains__(self, spawner_id: int) -> bool:
        """Whether others than its owner may have to do with a session; so with all until that was asked."""
        return self._ids is None or spawner_id in self._ids or changes().involves(spawner_id)


_others = Others()


def others() -> Others:
    """The hub's one collection."""
    return _others


async def tell(app: JupyterHub, ids: Iterable[int]) -> None:
    """Write their tables to the lines of sessions that nobody else has to do with."""
    ids = list(ids)
    for begin in range(0, len(ids), AT_ONCE):
        # One that does not listen has nothing to be told.
        some = [one for one in ids[begin : begin + AT_ONCE] if lines().of(one)]
        if not some:
            continue
        rows = [(one, app.db.get(orm.Spawner, one)) for one in some]
        names = {row.user.name for _, row in rows if row is not None and row.user is not None}
        board = notices.Board(app.db, names)
        async for one, row in in_turns(rows):
            await _tell(app, one, row, board)


async def _tell(app: JupyterHub, spawner_id: int, row: orm.Spawner | None, board: notices.Board) -> None:
    listening = listening_lines(app, spawner_id, row)
    if not listening:
        return
    owner, settings = app.users[row.user], VisaSharing.of(app.config)
    name = await accounts.called(owner)
    instruments = await instruments_of(app, row) if board.has_instruments else set()
    if row not in app.db or changes().involves(spawner_id):
        return  # it is looked at once more, as what it is by then
    table = {
        "members": [],
        "owner": {"name": owner.name, "full_name": name},
        "away": settings.owner_away,
        **of_its_run(owner, row),
        "trust_seconds": settings.trust_seconds,
        "requests": [],
        "help": None,
        "notices": board.notices_for(owner.name, instruments, row.name),
    }
    write(listening, table)


def listening_lines(app: JupyterHub, spawner_id: int, row: orm.Spawner | None) -> list[Line]:
    """The lines of a session that it may be told by; those of one that is not any more are closed."""
    gone = row is None or row not in app.db or not row.name or row.user is None
    spawner = None if gone else app.users[row.user].spawners.get(row.name)
    kept = getattr(spawner, "kept", None)
    for line in lines().of(spawner_id):
        if kept is None or not kept.phase or kept.token != line.token:
            line.close()
    return [line for line in lines().of(spawner_id) if not line.closed]


def write(listening: list[Line], table: dict) -> None:
    """Put a table on these lines."""
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    for line in listening:
        line.put(text)
