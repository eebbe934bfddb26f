"""A rollback costs the hub a few questions, not one for each session."""

from __future__ import annotations

import asyncio
from datetime import datetime
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
        db.add(orm.Spawner(name="tooth", user=person, server=orm.Server(base_url=f"/user/u{number}/tooth/")))
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


@pytest.fixture
def app(db):
    """A hub as far as its sessions' activity is asked about."""
    users = [
        SimpleNamespace(
            orm_user=row.user,
            spawners={"tooth": SimpleNamespace(orm_spawner=row, proxy_spec=row.server.base_url)},
        )
        for row in db.query(orm.Spawner)
    ]
    return SimpleNamespace(users=dict(enumerate(users)), db=db)


def used(app, at: str) -> dict:
    """What the proxy says when all of them were last used at one time."""
    return {f"/user/u{number}/tooth/": {"data": {"last_activity": at}} for number in app.users}


async def test_activity_is_written_down_in_a_few_statements(app, db):
    rows = {number: user.spawners["tooth"].orm_spawner for number, user in app.users.items()}
    late, at = datetime(2026, 11, 2), datetime(2026, 11, 1, 10)
    rows[7].last_activity = late
    db.commit()
    found = used(app, "2026-11-01T10:00:00.000Z")
    found["/user/u8/tooth/"]["data"]["last_activity"] = "not a time"
    statements = counted(db)
    assert await routes.note_activity(app, found) == PEOPLE - 2
    written = [one for one in statements if one.startswith("UPDATE")]
    assert len(written) <= 2 * (PEOPLE / routes.COMMIT + 1) and len(statements) < 2 * len(written)
    told = rows[0].last_activity, rows[7].last_activity, rows[8].last_activity
    assert told == (at, late, None)
    db.expire_all()
    assert told == (rows[0].last_activity, rows[7].last_activity, rows[8].last_activity), "it is committed"
    assert app.users[0].orm_user.last_activity == at
    del statements[:]
    assert await routes.note_activity(app, found) == 0
    assert not [one for one in statements if one.startswith("UPDATE")]


async def test_activity_is_never_left_uncommitted_while_others_have_their_turn(app, db, monkeypatch):
    """As an answer ends, the hub rolls back whatever it finds changed."""

    written = counted(db)
    event.listen(db.get_bind(), "commit", lambda connection: written.clear())

    async def turn_by_turn(things):
        for thing in list(things):
            assert not db.dirty and not [one for one in written if one.startswith("UPDATE")]
            yield thing

    monkeypatch.setattr(routes, "in_turns", turn_by_turn)
    assert await routes.note_activity(app, used(app, "2026-11-01T10:00:00.000Z")) == PEOPLE
