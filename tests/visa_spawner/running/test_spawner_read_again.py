"""A rollback costs the hub a few questions, not one for each session."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from sqlalchemy import event

from visa_spawner.running import routes
from visa_spawner.running.read_again import ROWS, ReadAgain

PEOPLE = 2 * ROWS + 50


@pytest.fixture
def db(tmp_path):
    """A hub's database with a running session of each of many people, all of them at hand."""
    db = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")()
    for number in range(PEOPLE):
        person = orm.User(name=f"u{number}")
        db.add(person)
        db.add(orm.Spawner(name="work", user=person, server=orm.Server(base_url=f"/user/u{number}/work/")))
    db.commit()
    yield db
    db.close()


def go_through(held) -> list[str]:
    """What the hub asks of each session, again and again."""
    return [f"{one.user.name}{one.server.base_url}{one.last_activity}" for one in held]


def counted(db) -> list[str]:
    statements = []
    event.listen(
        db.get_bind(), "before_cursor_execute", lambda *told: statements.append(told[2]), named=False
    )
    return statements


async def test_what_was_forgotten_is_read_again_many_rows_at_once(db):
    reading = ReadAgain(db)
    held = db.query(orm.Spawner).all()
    people, before = [one.user for one in held], go_through(held)
    statements = counted(db)
    db.query(orm.User).first().name = "somebody else"
    db.rollback()
    await reading._reading
    assert go_through(held) == before and len(people) == PEOPLE
    assert len(statements) < 20, "one for a few hundred rows"


async def test_a_rollback_meanwhile_is_read_again_too(db):
    reading = ReadAgain(db)
    held = db.query(orm.Spawner).all()
    people = [one.user for one in held]
    db.query(orm.User).first().name = "somebody else"
    db.rollback()
    await asyncio.sleep(0)  # it has begun
    db.query(orm.User).first().name = "somebody else"
    db.rollback()
    await reading._reading
    statements = counted(db)
    go_through(held)
    assert statements == [] and len(people) == PEOPLE


async def test_activity_is_never_left_uncommitted_while_others_have_their_turn(db, monkeypatch):
    """As an answer ends, the hub rolls back whatever it finds changed."""
    held = db.query(orm.Spawner).all()
    users = [
        SimpleNamespace(
            orm_user=row.user,
            spawners={"work": SimpleNamespace(orm_spawner=row, proxy_spec=row.server.base_url)},
        )
        for row in held
    ]
    app = SimpleNamespace(users=dict(enumerate(users)), db=db)
    found = {row.server.base_url: {"data": {"last_activity": "2026-11-01T10:00:00.000Z"}} for row in held}

    async def turn_by_turn(things):
        for thing in list(things):
            assert not db.dirty
            yield thing

    monkeypatch.setattr(routes, "in_turns", turn_by_turn)
    assert await routes.note_activity(app, found) == PEOPLE
    db.expire_all()
    assert all(row.last_activity for row in held)
