"""What administrators may: everybody's sessions, words to people, stopping, ending, the whole log."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sharing_hub import a_sharing_hub
from staff_hub import StaffHub, message


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub(kind=StaffHub) as hub:
        for name in hub.accounts:
            hub.token(name)
        hub.work = hub.run("tooth")
        hub.run("bobs", who="bob")
        yield hub


def notices(hub, who):
    return [notice["words"] for notice in hub.api("GET", "visa/notices", who).json()["notices"]]


def announce(hub, words, **more):
    answer = hub.api("POST", "visa/admin/announcements", "adam", json={"words": words} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "visa/admin/sessions", None),
        ("POST", "visa/admin/sessions/alice/tooth/message", {"words": "x"}),
        ("DELETE", "visa/admin/sessions/alice/tooth", None),
        ("GET", "visa/admin/nodes", None),
        ("PUT", "visa/admin/nodes/container/here", {"drained": True}),
        ("GET", "visa/admin/announcements", None),
        ("POST", "visa/admin/announcements", {"words": "x"}),
        ("DELETE", "visa/admin/announcements/1", None),
        ("GET", "visa/audit", None),
    ],
)
def test_nobody_else_gets_there(hub, method, path, body):
    for who in ("alice", "heidi", "ivan", hub.work, None):
        answer = hub.api(method, path, who, json=body)
        assert answer.status_code == 403, (who, answer.text)
    assert hub.session("tooth")["state"] == "running"


def test_everybodys_sessions_are_listed_with_their_members(hub):
    assert hub.let_in("bob").status_code == 201
    answer = hub.api("GET", "visa/admin/sessions", "adam").json()
    found = {f"{one['owner']}/{one['name']}": one for one in answer["sessions"]}
    assert set(found) == {"alice/tooth", "bob/bobs"}
    assert [member["name"] for member in found["alice/tooth"]["members"]] == ["bob"]
    assert found["alice/tooth"]["started"] and found["alice/tooth"]["image"] == "general"
    only = hub.api("GET", "visa/admin/sessions", "adam", params={"q": "bob b"}).json()["sessions"]
    assert [one["name"] for one in only] == ["bobs"]
    # And a membership is ended from there.
    line = hub.line(hub.work)
    line.roles(bob="viewer")
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "adam").status_code == 204
    line.roles()
    line.close()
    assert hub.last("member-ended")["who"] == "adam"


def test_words_reach_the_owner_in_the_session_and_on_the_portal_until_seen(hub):
    line, other = hub.line(hub.work), hub.line(hub.session_token("bobs", "bob"))
    path = "visa/admin/sessions/alice/tooth/message"
    told = hub.api("POST", path, "adam", json={"words": " Please save. "})
    assert told.status_code == 201
    [notice] = line.until(lambda table: table["notices"], 3)[1]["notices"]
    assert (notice["kind"], notice["words"], notice["id"]) == ("message", "Please save.", told.json()["id"])
    assert notices(hub, "alice") == ["Please save."]
    assert notices(hub, "bob") == []
    assert other.until(lambda table: True)[1]["notices"] == []
    # The session says so for its owner, another's session does not.
    seen = f"visa/notices/{notice['id']}/seen"
    assert hub.api("POST", seen, hub.session_token("bobs", "bob")).status_code == 404
    assert hub.api("POST", seen, hub.work).status_code == 204
    line.until(lambda table: not table["notices"], 3)
    assert notices(hub, "alice") == []
    for body, code in (({"words": "  "}, 400), ({"words": "x" * 2001}, 400), ({}, 400)):
        answer = hub.api("POST", path, "adam", json=body)
        assert answer.status_code == code and message(answer).startswith("words")
    nowhere = hub.api("POST", "visa/admin/sessions/alice/none/message", "adam", json={"words": "x"})
    assert nowhere.status_code == 404
    assert hub.last("message-sent")["details"]["words"] == "Please save."
    line.close()
    other.close()


def test_announcements_go_to_all_or_to_one_instruments_users_while_they_hold(hub):
    line = hub.line(hub.work)
    everybody = announce(hub, "Shutdown on Monday")
    mine = announce(hub, "ID19 is warm", instrument="id19")
    announce(hub, "BM18 is cold", instrument="bm18")
    past = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    announce(hub, "Not yet", since=later)
    for body, field in (
        ({"until": past}, "until"),
        ({"since": later, "until": later}, "until"),
        ({"since": "soon"}, "since"),
        ({"words": " "}, "words"),
        ({"kind": "x"}, "kind"),
    ):
        answer = hub.api("POST", "visa/admin/announcements", "adam", json={"words": "x"} | body)
        assert answer.status_code == 400 and message(answer).startswith(field), answer.text
    users = {
        "alice": True,  # her session, her teams
        "dave": True,  # on the catalogue's list of the team
        "ivan": True,  # looks after it
        "carol": False,
        "iris": False,
    }
    for who, concerned in users.items():
        words = ["Shutdown on Monday"] + ["ID19 is warm"] * concerned + ["BM18 is cold"] * (who == "iris")
        assert notices(hub, who) == words, who
    table = line.until(lambda table: len(table["notices"]) == 2, 3)[1]
    assert [notice["words"] for notice in table["notices"]] == ["Shutdown on Monday", "ID19 is warm"]
    seen = hub.api("POST", f"visa/notices/{mine['id']}/seen", "alice")
    assert (seen.status_code, "as long as it holds" in message(seen)) == (409, True)
    for one in (everybody, mine):
        assert hub.api("DELETE", f"visa/admin/announcements/{one['id']}", "adam").status_code == 204
    line.until(lambda table: not table["notices"], 3)
    assert notices(hub, "alice") == []
    listed = hub.api("GET", "visa/admin/announcements", "adam").json()["announcements"]
    assert [(one["words"], one["live"]) for one in listed][:4] == [
        ("Not yet", False),
        ("BM18 is cold", True),
        ("ID19 is warm", False),
        ("Shutdown on Monday", False),
    ]
    line.close()


def test_a_session_is_told_when_an_announcement_begins_and_when_it_is_over(hub):
    line = hub.line(hub.work)
    line.until(lambda table: not table["notices"])
    now = datetime.now(UTC)
    since, until = (now + timedelta(seconds=s) for s in (2, 4))
    announce(hub, "For two seconds", since=since.isoformat(), until=until.isoformat())
    line.until(lambda table: [n["words"] for n in table["notices"]] == ["For two seconds"], 8)
    assert datetime.now(UTC) >= since
    line.until(lambda table: not table["notices"], 8)
    assert datetime.now(UTC) >= until
    line.close()


def test_stopping_a_session_is_written_down_and_said_to_its_owner(hub):
    hub.run("stops")
    assert hub.api("DELETE", "visa/admin/sessions/alice/stops", "adam").status_code == 202
    hub.until(lambda: hub.session("stops")["state"] == "stopped", 20, "it stops")
    assert hub.session("stops")["words"] == "Stopped by the facility's staff."
    assert hub.process("alice+stops") is None
    again = hub.api("DELETE", "visa/admin/sessions/alice/stops", "adam")
    assert (again.status_code, message(again)) == (409, "session: the session does not run")
    line = hub.last("session-stopped")
    assert (line["who"], line["whom"], line["session"]) == ("adam", "alice", "stops")
    assert hub.api("DELETE", "visa/admin/sessions/alice/none", "adam").status_code == 404
    # One that hangs in its start as well.
    (hub.marks / "hold-ready").touch()
    hub.start_session("hangs", hub_options())
    hub.until(lambda: hub.process("alice+hangs"), 20, "its process runs")
    assert hub.api("DELETE", "visa/admin/sessions/alice/hangs", "adam").status_code == 202
    hub.until(lambda: hub.process("alice+hangs") is None, 20, "its process ends")
    (hub.marks / "hold-ready").unlink()


def hub_options():
    from spawner_support import GOOD_OPTIONS

    return GOOD_OPTIONS


def test_the_log_is_searched_paged_and_exported(hub):
    announce(hub, '=HYPERLINK("http://evil")')
    events = hub.api("GET", "visa/audit", "adam", params={"limit": 5}).json()["events"]
    assert len(events) == 5
    older = hub.api("GET", "visa/audit", "adam", params={"limit": 5, "before": events[-1]["id"]})
    assert older.json()["events"][0]["id"] < events[-1]["id"]
    [found] = hub.audit(q="evil")
    assert (found["what"], found["who"]) == ("announced", "adam")
    assert hub.audit(who="nobody") == [] and hub.audit(session="alice/none") == []
    today = datetime.now(UTC).date()
    assert hub.audit(since=str(today - timedelta(days=1)), until=str(today)) == hub.audit()
    assert hub.audit(until=str(today - timedelta(days=1))) == []
    for query in ({"what": "odd"}, {"since": "x"}, {"before": "0"}, {"limit": "5000"}):
        answer = hub.api("GET", "visa/audit", "adam", params=query)
        assert answer.status_code == 400 and message(answer).startswith(next(iter(query)) + ": ")
    token = hub.token("adam")
    answer = hub.http.get(
        f"{hub.hub_url}/hub/api/visa/audit",
        headers={"Authorization": f"token {token}", "Accept": "text/csv"},
        params={"what": "announced"},
    )
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [int(row["id"]) for row in rows] == [e["id"] for e in hub.audit(what="announced")][::-1]
    assert rows[0]["who"] == "adam" and "evil" in rows[0]["details"]
