"""A real hub on a real PostgreSQL: what its one statement at a time decides, and what a kill leaves."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sharing_hub import a_sharing_hub
from sqlalchemy import create_engine, text
from staff_hub import StaffHub, message


@pytest.fixture(scope="module")
def hub(postgres, tmp_path_factory):
    class Hub(StaffHub):
        db_url = postgres()

    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with a_sharing_hub({"events_file": str(path)}, kind=Hub) as hub:
        hub.path = path
        for name in hub.accounts:
            hub.token(name)
        hub.work = hub.run("tooth")
        yield hub


def all_at_once(call, people):
    with ThreadPoolExecutor(len(people)) as pool:
        return dict(zip(people, pool.map(call, people), strict=True))


def test_the_hub_is_on_it(hub):
    engine = create_engine(hub.db_url)
    with engine.connect() as connection:
        names = set(connection.scalars(text("SELECT name FROM users")))
        version = connection.scalar(text("SELECT version_num FROM visa_alembic_version"))
    engine.dispose()
    assert {"alice", "heidi"} <= names and version


def test_one_of_two_takes_a_request_for_help(hub):
    made = hub.api("POST", "visa/sharing/alice/tooth/help", "alice", json={"message": "Help"})
    number = made.json()["id"]
    take = f"visa/support/help/{number}/take"
    answers = all_at_once(lambda who: hub.api("POST", take, who), ["heidi", "ivan", "hanna", "adam"])
    assert sorted(answer.status_code for answer in answers.values()) == [200, 409, 409, 409]
    assert len(hub.audit(what="help-taken")) == 1


def test_a_link_for_one_lets_one_in(hub):
    link = {"role": "viewer", "hours": 1, "uses": 1}
    made = hub.api("POST", "visa/sharing/alice/tooth/links", "alice", json=link).json()
    people = ["bob", "erin", "frank", "dave"]
    join = {"code": made["code"]}
    answers = all_at_once(lambda who: hub.api("POST", "visa/join", who, json=join), people)
    joined = [who for who, answer in answers.items() if answer.status_code == 200]
    assert len(joined) == 1 and set(hub.members()) == set(joined)
    assert [line["who"] for line in hub.audit(what="link-used")] == joined
    assert {line["who"] for line in hub.audit(what="link-refused")} == set(people) - set(joined)
    hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def test_support_is_asked_for_answered_searched_and_survives_a_kill(hub):
    line = hub.line(hub.work)
    number = hub.asked("heidi")
    line.until(lambda table: table["requests"])
    assert hub.answer(number, "watch").status_code == 204
    line.until(lambda table: [m["name"] for m in table["members"]] == ["heidi"])
    line.close()
    waiting = hub.asked("ivan")
    before = hub.audit()
    assert [e["what"] for e in hub.audit(q="may i")] == ["support-asked", "support-asked"]
    assert [e["what"] for e in hub.audit(q="HEIDI", what="support-answered")] == ["support-answered"]
    hub.kill()
    hub.start()
    assert hub.audit()[: len(before)] == before
    assert set(hub.members()) == {"heidi"}
    assert hub.answer(waiting, "as-asked").status_code == 204
    refused = hub.answer(waiting, "as-asked")
    assert message(refused) == "request: it has been answered"
    lines = len(hub.audit())
    hub.until(lambda: len(hub.path.read_text().splitlines()) == lines, 10, "the file follows")
    hub.stop_session("tooth")
    hub.until(lambda: hub.audit(what="member-ended")[-1]["whom"] in ("ivan", "heidi"), 10, "both are out")
    assert hub.seen_by("heidi") == set()
