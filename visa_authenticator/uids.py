"""Which account holds which uid, kept across restarts, so that two accounts never share one."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path


class UidTaken(Exception):
    """The uid belongs to another account, `holder`."""

    def __init__(self, holder: str):
        super().__init__(f"held by {holder}")
        self.holder = holder


class UidRegister:
    """A small SQLite file of its own, beside the hub's database.

    Not a table in the hub's database: the hub keeps one transaction open across requests there, which a
    claim would have to wait for or roll back.
    """

    def __init__(self, path: str | Path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS uids (username TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE)"
        )

    def uid_of(self, username: str) -> int | None:
        """The uid the account holds, None when it holds none."""
        row = self._database.execute("SELECT uid FROM uids WHERE username = ?", (username,)).fetchone()
        return row[0] if row else None

    def claim(self, username: str, uid: int) -> None:
        """Let the account hold this uid, and no other; raises UidTaken when another account does."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            row = self._database.execute("SELECT username FROM uids WHERE uid = ?", (uid,)).fetchone()
            if row and row[0] != username:
                raise UidTaken(row[0])
            self._database.execute("INSERT OR REPLACE INTO uids VALUES (?, ?)", (username, uid))
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def forget(self, username: str) -> None:
        """Free the account's uid."""
        self._database.execute("DELETE FROM uids WHERE username = ?", (username,))

    def close(self) -> None:
        self._database.close()
