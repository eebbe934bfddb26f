"""The events file holds each committed line once, in order, whatever happens to the file or to the hub."""

import asyncio
import gzip
import json
import logging
import os

import pytest
from jupyter_events.logger import EventLogger
from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from visa_sharing.audit import follow as follow_module
from visa_sharing.audit.follow import follow
from visa_sharing.audit.record import record
from visa_sharing.schema import upgrade


@pytest.fixture
def factory(database_url):
    engine = create_engine(database_url)
    orm.Base.metadata.create_all(engine)
    upgrade(engine)
    yield sessionmaker(engine, expire_on_commit=False)
    engine.dispose()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "events.jsonl"


def write(db, *numbers):
    for number in numbers:
        record(db, "announcement-ended", who="root", notice=number)
    db.commit()


def notices(path):
    return [json.loads(line)["details"]["notice"] for line in path.read_text().splitlines()]


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def begin(factory, path):
    """A follower as a hub has it; an earlier hub has ended before."""
    begun = []
    path.parent.mkdir()

    def end():
        while begun:
            begun.pop().close()

    def begin(eventlog=None):
        end()
        fresh = sessionmaker(factory.kw["bind"], expire_on_commit=False)
        begun.append(follow(fresh, str(path), eventlog))
        return fresh

    begin.end = end
    yield begin
    end()


async def test_what_is_committed_is_there_once_and_in_order(begin, path):
    with begin()() as db:
        write(db, 1, 2)
        record(db, "announcement-ended", who="root", notice=99)
        db.flush()
        db.rollback()
        write(db, *range(3, 500))
    await until(lambda: len(notices(path)) == 499)
    assert notices(path) == list(range(1, 500))
    assert oct(path.stat().st_mode & 0o777) in ("0o640", "0o600")
    first = json.loads(path.read_text().splitlines()[0])
    assert first["what"] == "announcement-ended" and first["at"].endswith("Z") and first["who"] == "root"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text,
        lambda text: text[:-1],
        lambda text: text[:-20],
        lambda text: "".join(text.splitlines(True)[:4]) + '{"id": 5, "at',
        lambda text: "",
        lambda text: '{"id":',
        lambda text: text + "a line that somebody else wrote\n",
    ],
)
async def test_a_new_hub_completes_the_file(factory, begin, path, damage):
    with factory() as db:
        write(db, *range(1, 9))
    begin()
    await until(lambda: path.exists() and len(notices(path)) == 8)
    begin.end()
    path.write_text(damage(path.read_text()))
    # A hub that was killed while it wrote got no further than the file says.
    await until(path.with_name("events.jsonl.last").exists)
    path.with_name("events.jsonl.last").unlink()
    with factory() as db:
        write(db, 9)
    begin()
    await until(lambda: path.read_text().endswith('"notice":9}}\n'))
    lines = [line for line in path.read_text().splitlines() if line.startswith("{")]
    assert [json.loads(line)["details"]["notice"] for line in lines] == list(range(1, 10))


@pytest.mark.parametrize("how", ["renamed", "copied and emptied", "compressed", "thrown away"])
@pytest.mark.parametrize("restart", [False, True])
async def test_rotation_loses_nothing_and_doubles_nothing(begin, path, how, restart):
    new = begin()
    with new() as db:
        write(db, 1, 2, 3)
    await until(lambda: path.exists() and len(notices(path)) == 3)
    await until(lambda: path.with_name("events.jsonl.last").exists())
    old = path.with_name("events.jsonl.1")
    if how == "copied and emptied":
        old.write_text(path.read_text())
        os.truncate(path, 0)
    else:
        path.rename(old)
    if how == "compressed":
        with gzip.open(f"{old}.gz", "wb") as file:
            file.write(old.read_bytes())
        old.unlink()
    elif how == "thrown away":
        old.unlink()
    if restart:
        begin.end()
        new = begin()
    with new() as db:
        write(db, 4, 5)
    await until(lambda: path.exists() and len(notices(path)) >= 2)
    assert notices(path) == [4, 5]


async def test_a_rotated_file_is_enough_to_go_on_from(factory, begin, path):
    with factory() as db:
        write(db, 1, 2, 3)
    begin()
    await until(lambda: path.exists() and len(notices(path)) == 3)
    await until(path.with_name("events.jsonl.last").exists)
    begin.end()
    path.rename(path.with_name("events.jsonl-20260501"))
    path.with_name("events.jsonl.last").unlink()
    with factory() as db:
        write(db, 4)
    begin()
    await until(path.exists)
    await until(lambda: notices(path) == [4])


async def test_a_file_that_cannot_be_written_is_completed_when_it_can(begin, path, monkeypatch, caplog):
    monkeypatch.setattr(follow_module, "AGAIN", 0.1)
    new = begin()
    with new() as db:
        write(db, 1)
    await until(lambda: path.exists() and notices(path) == [1])
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    with new() as db:
        write(db, 2, 3)
    await until(lambda: "nothing is lost" in caplog.text)
    aside.rename(path.parent)
    await until(lambda: notices(path) == [1, 2, 3])
    assert caplog.text.count("nothing is lost") == 1


async def test_another_database_is_said_and_does_not_stop_the_log(begin, path, caplog):
    path.write_text('{"id":5000}\n')
    with begin()() as db:
        write(db, 1)
    await until(lambda: len(path.read_text().splitlines()) == 2)
    assert "another database" in caplog.text


async def test_a_sites_handlers_get_each_line_checked(begin, path):
    seen = []

    class Handler(logging.Handler):
        def emit(self, one):
            seen.append(json.loads(self.format(one)))

    with begin(EventLogger(handlers=[Handler()]))() as db:
        write(db, 7)
    await until(lambda: seen)
    assert seen[0]["__schema__"] == "urn:visa:sharing:announcement-ended"
    assert seen[0]["details"] == {"notice": 7}
    assert seen[0]["__timestamp__"].rstrip("Z") == seen[0]["at"].rstrip("Z").ljust(26, "0")
