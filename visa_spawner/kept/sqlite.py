"""The hub's SQLite: a commit waits for the disk once, and nobody asks whether the file still answers.

SQLite's own way writes and waits three times a commit, and the hub, which commits some twenty times a start,
stands still meanwhile. With a write-ahead log it waits once and is as safe: what is committed outlives a loss
of power. The log stands beside the file (`-wal`): docs/operators/scale.md says what that means for copies.
"""

from __future__ import annotations

import sqlite3

from jupyterhub import orm
from sqlalchemy import Engine, event


def _begin(connection, _record) -> None:
    """A connection has been made, to whatever database it is."""
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        # FULL: each commit is on the disk before it returns. What must not be lost is who may not come in.
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()


def join_hub() -> None:
    """Have the hub open its database so; harmless when done already. Must come before it does."""
    stock = orm.register_ping_connection
    if getattr(stock, "visa", False):
        return

    def register_ping_connection(engine: Engine) -> None:
        # The stock hub puts a question of its own before each transaction: a server may have gone away, a
        # file cannot.
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _begin)
        else:
            stock(engine)

    register_ping_connection.visa = True
    orm.register_ping_connection = register_ping_connection
