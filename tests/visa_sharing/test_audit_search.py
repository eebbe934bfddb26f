"""Search, paging and export of the audit log, on SQLite and PostgreSQL."""

import asyncio
import csv
import io
import time
from datetime import datetime, timedelta

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from visa_sharing.audit import csv as table
from visa_sharing.audit import search
from visa_sharing.audit.record import record
from visa_sharing.audit.search import Wanted, page, pieces
from visa_sharing.database import Event
from visa_sharing.schema import upgrade

BEGIN = datetime(2026, 5, 1)


@pytest.fixture
def db(database_url):
    engine = create_engine(database_url)
    orm.Base.metadata.create_all(engine)
    upgrade(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def fill(db, count=20):
    for number in range(1, count + 1):
        who, whom = ("alice", "bob") if number % 2 else ("carol", "alice")
        owner = "alice" if number % 4 else "dave"
        event = record(
            db,
            "help-closed",
            owner=owner,
            session=f"s{number % 3}",
            who=who,
            whom=whom,
            address=f"192.0.2.{number}",
            request=number,
            words="100% fertig, schön" if number == 7 else f"words {number}",
        )
        event.at = BEGIN + timedelta(hours=number)
    record(db, "announced", who="root", notice=1, words="=1+1", instrument="id19", since=BEGIN).at = BEGIN
    db.commit()


async def found(db, limit=100, **wanted):
    return [line["id"] for line in await page(db, Wanted(**wanted), limit)]


async def test_each_filter_narrows_down(db):
    fill(db)
    assert await found(db) == list(range(21, 0, -1))
    assert await found(db, who="carol", owner="dave") == [20, 16, 12, 8, 4]
    assert await found(db, whom="bob", session="s1") == [19, 13, 7, 1]
    assert await found(db, session="s0", what=frozenset({"help-closed"})) == [18, 15, 12, 9, 6, 3]
    assert await found(db, what=frozenset({"announced", "locked"})) == [21]
    since, until = BEGIN + timedelta(hours=5), BEGIN + timedelta(hours=8)
    assert await found(db, since=since, until=until) == [7, 6, 5]
    assert await found(db, involving="dave") == [20, 16, 12, 8, 4]
    assert await found(db, party="bob", owner="alice") == list(range(19, 0, -2))
    assert await found(db, party="dave") == []


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("schön", [7]),
        ("SCH", [7]),
        ("100%", [7]),
        ("%", [7]),
        ("192.0.2.11", [11]),
        ("ROOT", [21]),
        ("id19", [21]),
        ("_", []),
        ('"', None),
        ("\\", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_text_is_found_wherever_it_stands_and_as_it_stands(db, text, ids):
    fill(db)
    if ids is not None:
        assert await found(db, text=text) == ids


async def test_pages_follow_each_other(db, monkeypatch):
    monkeypatch.setattr(search, "LOOK", 3)
    monkeypatch.setattr(search, "PIECE", 2)
    fill(db)
    for wanted in ({"involving": "alice"}, {}, {"text": "words"}):
        all_of_them = await found(db, limit=1000, **wanted)
        read, before = [], None
        while lines := await found(db, limit=4, before=before, **wanted):
            read += lines
            before = lines[-1]
        assert read == all_of_them and len(read) > 12
        exported = [line["id"] async for some in pieces(db, Wanted(**wanted)) for line in some]
        assert exported == all_of_them


async def test_an_empty_log_and_gaps_are_no_trouble(db, monkeypatch):
    assert await found(db) == []
    fill(db)
    db.query(Event).filter(Event.id < 15, Event.id > 2).delete()
    db.commit()
    monkeypatch.setattr(search, "LOOK", 4)
    assert await found(db) == [21, 20, 19, 18, 17, 16, 15, 2, 1]
    assert await found(db, before=3) == [2, 1]
    assert await found(db, before=10**9) == await found(db)


async def test_a_long_log_does_not_hold_up_the_hub(db):
    line = {"at": BEGIN, "what": "entered", "role": "viewer", "details": {}, "address": "192.0.2.1"}
    rows = [
        line | {"owner": f"o{n % 900}", "session": "s", "who": f"w{n}", "whom": ""} for n in range(60_000)
    ]
    for begin in range(0, len(rows), 10_000):
        db.execute(insert(Event.__table__), rows[begin : begin + 10_000])
    db.commit()
    gaps, last = [], time.monotonic()

    async def others():
        nonlocal last
        while True:
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    assert await found(db, text="nowhere") == []
    count = sum([len(some) async for some in pieces(db, Wanted())])
    beside.cancel()
    assert count == 60_000
    # A look of 2,000 lines takes some 10 ms; all of them at once would take a second.
    assert sorted(gaps)[-2] < 0.3
    assert len(gaps) > 60
    assert max(len(some) for some in [s async for s in pieces(db, Wanted(), 3000)]) <= search.PIECE


def test_a_spreadsheet_runs_nothing_of_it():
    line = dict.fromkeys(table.COLUMNS, "")
    for evil in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A1'):
        text = table.header() + table.rows([line | {"who": evil, "id": 3, "details": {"a": 'x,"y"'}}])
        read = list(csv.reader(io.StringIO(text, newline="")))
        assert read[0] == list(table.COLUMNS)
        assert read[1][5] == "'" + evil and read[1][0] == "3" and read[1][9] == '{"a": "x,\\"y\\""}'
