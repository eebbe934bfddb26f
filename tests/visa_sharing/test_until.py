"""Support is in by the owner's consent, and out when the time is over; a session that stops meanwhile."""

import concurrent.futures
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "erin", "heidi"):
        hub.token(name)
    return hub.run()


def let_support_in(hub, role="viewer"):
    """As it happens: heidi asks, alice accepts."""
    body = {"role": role, "message": "May I look?"}
    asked = hub.api("POST", "visa/support/alice/tooth/ask", "heidi", json=body)
    assert asked.status_code == 201, asked.text
    body = {"request": asked.json()["id"], "answer": "as-asked"}
    answer = hub.api("POST", "visa/sharing/alice/tooth/answers", "alice", json=body)
    assert answer.status_code == 204, answer.text


def test_support_is_let_in_whatever_data_there_are_and_ended_in_time(hub, token):
    line = hub.line(token)
    let_support_in(hub)
    _, table = line.until(lambda table: table["members"])
    (member,) = table["members"]
    assert (member["name"], member["support"]) == ("heidi", True) and member["until"]
    # The two hours pass, by the clock of the database; any change has the hub look at it.
    until = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=3)
    with sqlite3.connect(hub.root / "jupyterhub.sqlite", timeout=20) as db:
        db.execute("UPDATE visa_grants SET until = ?", (until.isoformat(" "),))
    hub.api("PUT", "visa/sharing/alice/tooth/lock", "alice", json={"locked": True})
    line.until(lambda table: not table["members"], 15)
    late = (datetime.now(UTC).replace(tzinfo=None) - until).total_seconds()
    assert 0 <= late < 1, late
    assert hub.shares() == {}
    ended = hub.events(what="member-ended")[-1]
    assert (ended["whom"], ended["who"], ended["details"]["why"]) == ("heidi", "", "the time is over")
    line.close()


def test_over_while_no_hub_ran(hub, token):
    let_support_in(hub)
    hub.kill()
    with sqlite3.connect(hub.root / "jupyterhub.sqlite", timeout=20) as db:
        db.execute("UPDATE visa_grants SET until = '2026-01-01 00:00:00.000000'")
    hub.start()
    line = hub.line(token)
    _, table = line.until(lambda table: True)
    assert table["members"] == []
    hub.until(lambda: hub.shares() == {}, 5, "the share is gone too")
    line.close()


def test_the_owner_cannot_make_support_more_than_it_asked_for(hub, token):
    let_support_in(hub)
    path = "visa/sharing/alice/tooth/members/heidi"
    assert hub.api("PATCH", path, "alice", json={"role": "collaborator"}).status_code == 409
    assert hub.let_in("heidi", "collaborator").status_code in (403, 409)
    assert hub.api("DELETE", path, "alice").status_code == 204
    assert hub.sql("SELECT state FROM visa_requests ORDER BY id DESC LIMIT 1") == [("ended",)]
    assert hub.shares() == {}


def test_joining_while_the_session_is_stopped_and_removed(hub, token):
    """Whichever comes first: in or not, no error, and nothing is left of a session that is gone."""
    for n in range(3):
        hub.run(f"gone-{n}")
        made = hub.api(
            "POST",
            f"visa/sharing/alice/gone-{n}/links",
            "alice",
            json={"role": "viewer", "hours": 1, "uses": 5},
        ).json()
        stop = f"users/alice/servers/gone-{n}"
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            stopped = pool.submit(hub.api, "DELETE", stop, "alice", json={"remove": True})
            time.sleep(0.02 * n)
            tries = [
                pool.submit(hub.api, "POST", "visa/join", who, json={"code": made["code"]})
                for who in ("bob", "erin")
            ]
            assert stopped.result().status_code in (202, 204)
            assert {each.result().status_code for each in tries} <= {200, 404}
        hub.until(lambda n=n: f"gone-{n}" not in hub.names(), 20, "it is gone")
    for table in ("visa_links", "visa_team_shares", "visa_not_again", "shares"):
        left = f"SELECT count(*) FROM {table} WHERE spawner_id NOT IN (SELECT id FROM spawners)"
        assert hub.sql(left) == [(0,)], table
    assert hub.sql("SELECT count(*) FROM visa_grants") == [(0,)]
