"""What the hub's /hub/metrics tells of its database, for which the hub stands still each time."""

from __future__ import annotations

import time

from prometheus_client import Histogram
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

SECONDS = Histogram(
    "visa_database_seconds",
    "What a statement, or a commit with what it writes, took of the hub's time",
    ["what"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_STATEMENT, _COMMIT = SECONDS.labels("statement"), SECONDS.labels("commit")
_BEGAN = "visa_commit_began"


def time_database(factory: sessionmaker) -> None:
    """Have all that is asked of a database timed from now on."""
    with factory() as session:
        engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", _asked)
    event.listen(engine, "after_cursor_execute", _answered)
    event.listen(factory, "before_commit", _begins)
    event.listen(factory, "after_commit", _committed)


def _asked(_connection, _cursor, _statement, _parameters, context, _many) -> None:
    context.visa_began = time.perf_counter()


def _answered(_connection, _cursor, _statement, _parameters, context, _many) -> None:
    _STATEMENT.observe(time.perf_counter() - context.visa_began)


def _begins(session: Session) -> None:
    session.info[_BEGAN] = time.perf_counter()


def _committed(session: Session) -> None:
    began = session.info.pop(_BEGAN, None)
    if began is not None:
        _COMMIT.observe(time.perf_counter() - began)
