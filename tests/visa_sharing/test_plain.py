"""Sessions that nobody but their owner has to do with: told by the hundred, and never what is not so."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from sqlalchemy import event

from visa_sharing import changes, database, plain, refresh, schema
from visa_sharing.line import Line, Lines, pause
from visa_sharing.settings import VisaSharing

COUNT = 205


class Users(dict):
    """The hub's people, by the row."""

    def __getitem__(self, row):
        return super().__getitem__(row.id)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's database with sessions that run and listen; counts what it is asked."""
    factory = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")
    db = factory()
    schema.upgrade(db.get_bind())
    monkeypatch.setattr(changes, "_changes", changes.Changes())
    lines, users, settings = Lines(), Users(), VisaSharing()
    changes.listen(factory)
    for place in ("visa_sharing.plain", "visa_sharing.keeper", "visa_sharing.refresh"):
        monkeypatch.setattr(f"{place}.lines", lambda: lines)
    monkeypatch.setattr(VisaSharing, "of", classmethod(lambda cls, config: settings))
    ends = datetime(2026, 12, 1, tzinfo=UTC)
    for number in range(COUNT):
        state = {"visa": {"phase": "running", "token": number + 1, "ends": ends.isoformat()}}
        user = orm.User(name=f"p{number}")
        db.add(user)
        db.flush()
        db.add(orm.Spawner(name="tooth", user=user, state=state))
        kept = SimpleNamespace(phase="running", token=number + 1)
        users[user.id] = a_person(user, kept)
    db.commit()
    rows = db.query(orm.Spawner).order_by(orm.Spawner.id).all()
    for row in rows:
        lines.open(row.id, Line(users[row.user].spawners["tooth"].kept.token))
    monkeypatch.setattr("visa_sharing.table.report.session", lambda owner, row, with_log: {"may_extend": 3})
    asked = []
    listen = event.listen(db.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
    app = SimpleNamespace(db=db, users=users, config=None)
    db.commit()
    yield SimpleNamespace(app=app, db=db, rows=rows, lines=lines, asked=asked, listen=listen)
    db.close()


def a_person(user, kept):
    return SimpleNamespace(
        id=user.id,
        name=user.name,
        encrypted_auth_state=None,
        spawners={"tooth": SimpleNamespace(kept=kept)},
    )


def told(hub, row):
    """What the one line of a session has waiting."""
    (line,) = hub.lines.of(row.id)
    return json.loads(line._newest) if line._newest else None


async def test_many_are_told_by_a_few_questions(hub):
    await plain.tell(hub.app, [row.id for row in hub.rows])
    table = told(hub, hub.rows[7])
    assert (table["owner"]["name"], table["members"], table["help"]) == ("p7", [], None)
    assert (table["ends"], table["may_extend"]) == ("2026-12-01T00:00:00+00:00", 3)
    assert all(told(hub, row) for row in hub.rows)
    # One question for the notices of a hundred.
    assert len([one for one in hub.asked if "FROM visa_notices" in one]) == 3
    assert len([one for one in hub.asked if " FROM " in one]) <= 4


async def test_each_has_the_notices_that_are_for_it(hub):
    for words, account, session in (
        ("to all", "", ""),
        ("to p3", "p3", ""),
        ("about another", "p3", "other"),
        ("to p4", "p4", "tooth"),
    ):
        hub.db.add(database.Notice(words=words, made_by="adam", account=account, session=session))
    hub.db.add(database.Notice(words="over", made_by="adam", until=database.now() - timedelta(seconds=1)))
    hub.db.commit()
    await plain.tell(hub.app, [row.id for row in hub.rows])
    said = {number: [one["words"] for one in told(hub, hub.rows[number])["notices"]] for number in (2, 3, 4)}
    assert said == {2: ["to all"], 3: ["to all", "to p3"], 4: ["to all", "to p4"]}


async def test_one_whose_token_is_not_the_sessions_is_closed(hub):
    hub.app.users[hub.rows[0].user].spawners["tooth"].kept.token = 99999
    (line,) = hub.lines.of(hub.rows[0].id)
    await plain.tell(hub.app, [hub.rows[0].id])
    assert line.closed and not line._newest


async def test_what_was_shared_a_moment_ago_is_not_told_that_nobody_is_in(hub):
    first, second = hub.rows[:2]
    hub.db.add(database.SessionPolicy(spawner_id=first.id, locked=True))
    hub.db.commit()
    await plain.tell(hub.app, [first.id, second.id])
    assert told(hub, first) is None and told(hub, second) is not None


def test_sessions_with_anything_of_others_are_not_plain(hub):
    a, b, c, d, e, f = hub.rows[:6]
    bob = hub.rows[9].user
    hub.db.add(orm.Share(owner=a.user, spawner=a, user=bob, scopes=[], created_at=database.now()))
    hub.db.add(database.TeamShare(spawner_id=b.id, experiment="E", role="viewer", made_by="x"))
    hub.db.add(database.Request(spawner_id=c.id, kind="help"))
    hub.db.add(database.SessionPolicy(spawner_id=d.id, locked=True))
    hub.db.add(database.NotAgain(spawner_id=e.id, user_id=bob.id))
    hub.db.commit()
    others = {row.id for row in (a, b, c, d, e)}
    assert plain.involved(hub.db) == others
    # And by what is committed later, without asking.
    known = plain.Others()
    assert f.id in known  # nothing is known yet
    known.follow(hub.db, set())
    changes.changes().taken()
    assert {row.id for row in hub.rows if row.id in known} == others
    hub.db.add(database.SessionPolicy(spawner_id=f.id, locked=True))
    hub.db.commit()
    assert f.id in known
    known.follow(hub.db, changes.changes().taken().involved)
    assert f.id in known
    last = hub.rows[6]
    last.state = last.state | {"x": 1}
    hub.db.commit()
    what = changes.changes().taken()
    assert what.sessions == {last.id} and not what.involved and last.id not in known


async def test_members_are_looked_for_in_shared_sessions_alone(hub, monkeypatch):
    asked_about = []

    async def noted(app, user):
        asked_about.append(user.name)

    monkeypatch.setattr(refresh, "refresh", noted)
    await refresh.refresh_present(hub.app)
    assert len([one for one in hub.asked if "FROM" in one]) == 1 and asked_about == []
    row, bob = hub.rows[0], hub.rows[9].user
    row.state = {"visa": row.state["visa"] | {"started": "2026-11-01T00:00:00+00:00"}}
    hub.db.add(orm.Share(owner=row.user, spawner=row, user=bob, scopes=[], created_at=database.now()))
    hub.db.add(database.Event(what="entered", owner=row.user.name, session="tooth", who=bob.name))
    hub.db.commit()
    hub.asked.clear()
    await refresh.refresh_present(hub.app)
    assert asked_about == [bob.name]
    assert len(hub.asked) < 30


def test_lines_that_were_opened_at_once_are_not_all_written_to_at_once():
    pauses = {pause(60) for _ in range(50)}
    assert len(pauses) > 40 and 12 <= min(pauses) and max(pauses) <= 20 and max(pauses) - min(pauses) > 3
