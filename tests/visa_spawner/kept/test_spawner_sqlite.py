"""The hub's SQLite: safe at each commit, and not asked whether it is still there."""

import pytest
from jupyterhub import orm
from sqlalchemy import event, text

from visa_spawner.kept import sqlite


@pytest.fixture
def db(tmp_path, monkeypatch):
    monkeypatch.setattr(orm, "register_ping_connection", orm.register_ping_connection)
    sqlite.join_hub()
    session = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")()
    yield session
    session.close()


def test_a_commit_is_on_the_disk_and_waits_for_it_once(db):
    def said(what):
        return db.execute(text(f"PRAGMA {what}")).scalar()

    assert (said("journal_mode"), said("synchronous")) == ("wal", 2)  # 2: FULL
    assert said("foreign_keys") == 1  # the hub's own setting, beside ours


def test_a_transaction_puts_no_question_of_its_own(db):
    asked = []
    event.listen(db.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
    db.add(orm.User(name="ada"))
    db.commit()
    assert len(asked) == 1, asked


def test_a_server_is_still_asked_whether_it_is_there(monkeypatch):
    asked = []
    monkeypatch.setattr(orm, "register_ping_connection", asked.append)
    sqlite.join_hub()
    engine = type("Engine", (), {"dialect": type("Dialect", (), {"name": "postgresql"})})
    orm.register_ping_connection(engine)
    assert asked == [engine]
