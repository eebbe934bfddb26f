"""Staff ask to join, owners answer and ask for help, on a real hub."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sharing_hub import a_sharing_hub
from spawner_support import GOOD_OPTIONS
from staff_hub import StaffHub, message


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub(kind=StaffHub) as hub:
        for name in hub.accounts:
            hub.token(name)
        hub.work = hub.run("tooth")
        hub.run("other", experiments=["B-2"], who="alice")
        # A session without any experiment: heidi's role may have one.
        hub.run_session("bare", GOOD_OPTIONS | {"experiments": [], "profile": "general"}, "heidi")
        yield hub


@pytest.fixture
def line(hub):
    line = hub.line(hub.work)
    yield line
    hub.api("DELETE", "visa/support/alice/tooth/ask", "heidi")
    hub.api("DELETE", "visa/support/alice/tooth/ask", "ivan")
    line.until(lambda table: not table["requests"] and not table["members"])
    line.close()


def test_staff_see_the_sessions_they_may_help_with_and_no_other(hub):
    everything = {"alice/tooth", "alice/other", "heidi/bare"}
    assert hub.seen_by("hanna") == hub.seen_by("adam") == everything
    # Nobody's own.
    assert hub.seen_by("heidi") == everything - {"heidi/bare"}
    assert hub.seen_by("ivan") == {"alice/tooth", "alice/other"}
    assert hub.seen_by("lena") == {"alice/other"}
    for nobody in ("alice", "bob", "carol", "nils", "iris"):
        assert hub.seen_by(nobody) == set()
        for path in ("visa/support/alice/tooth", "visa/support/alice/nothing"):
            assert hub.api("GET", path, nobody).status_code == 404
        assert hub.ask(nobody).status_code == 404
    assert hub.supported("hanna")["may"] == {"all": True, "instruments": []}
    assert hub.supported("ivan")["may"] == {"all": False, "instruments": ["id19"]}
    # By name, a session that is not theirs is not there.
    assert hub.api("GET", "visa/support/alice/tooth", "lena").status_code == 404
    assert hub.ask("lena").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "alice/to"}, {"alice/tooth"}),
        ({"q": "ALICE a"}, {"alice/tooth", "alice/other"}),
        ({"q": "about b-2"}, {"alice/other"}),
        ({"q": "id19 other"}, {"alice/other"}),
        ({"q": "helpdesk"}, set()),
        ({"instrument": "id19"}, {"alice/tooth", "alice/other"}),
        ({"instrument": "bm18"}, set()),
        ({"state": "running"}, {"alice/tooth", "alice/other", "heidi/bare"}),
        ({"state": "failed"}, set()),
        ({"node": "nowhere"}, set()),
    ],
)
def test_sessions_are_found_by_what_staff_know_of_them(hub, query, found):
    assert hub.seen_by("hanna", **query) == found


def test_a_long_list_is_cut_and_says_so_and_bad_questions_name_the_field(hub):
    answer = hub.supported("hanna", limit=2)
    assert len(answer["sessions"]) == 2 and answer["more"] is True
    assert hub.supported("hanna", limit=3)["more"] is False
    for query in ({"limit": "0"}, {"limit": "x"}, {"limit": "99999"}, {"state": "odd"}, {"q": "x" * 300}):
        answer = hub.api("GET", "visa/support", "hanna", params=query)
        assert answer.status_code == 400 and message(answer).startswith(next(iter(query)) + ": ")


def test_one_session_closely_shows_its_log_without_its_token(hub):
    one = hub.api("GET", "visa/support/alice/tooth", "ivan").json()
    assert any("a line of the session's log" in line for line in one["log"])
    assert hub.work not in str(one)
    assert (one["owner_full_name"], one["image"], one["may_ask"]) == ("Alice A", "general", True)
    assert one["usage"] is None


def test_an_ask_is_where_the_owner_is_at_once_and_accepted_as_asked(hub, line):
    line.until(lambda table: True)
    number = hub.asked("ivan")
    [request] = line.until(lambda table: table["requests"], 3)[1]["requests"]
    assert (request["name"], request["full_name"], request["role"]) == ("ivan", "Ivan I", "collaborator")
    assert request["message"] == "May I?"
    # Nothing is open yet.
    assert hub.members() == {}
    assert hub.answer(number, "as-asked").status_code == 204
    [member] = line.until(lambda table: table["members"], 3)[1]["members"]
    assert (member["name"], member["role"], member["support"]) == ("ivan", "collaborator", True)
    assert member["until"] is not None
    [ask] = hub.supported("ivan")["asks"][:1]
    assert (ask["state"], ask["role"], ask["url"]) == ("accepted", "collaborator", "/user/alice/tooth/")
    assert ask["until"] == member["until"]
    # What it means to ivan himself, by the hub's own word.
    assert any("custom:visa:control!server=alice/tooth" in scopes for scopes in hub.shares().values())
    asked, answered = hub.last("support-asked"), hub.last("support-answered")
    assert (asked["who"], asked["whom"], asked["details"]["staff_role"]) == (
        "ivan",
        "alice",
        "instrument-scientist",
    )
    assert (answered["who"], answered["whom"], answered["details"]["answer"]) == ("alice", "ivan", "as-asked")
    # Either side ends it.
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/ivan", "alice").status_code == 204
    line.until(lambda table: not table["members"], 3)
    assert hub.supported("ivan")["asks"][0]["state"] == "ended"


def test_watch_only_is_less_than_was_asked_and_more_can_be_asked_for(hub, line):
    number = hub.asked("heidi")
    assert hub.answer(number, "watch").status_code == 204
    line.until(lambda table: [m["role"] for m in table["members"]] == ["viewer"])
    assert message(hub.ask("heidi", "viewer")) == "role: you are in already"
    more = hub.asked("heidi")
    # Still watching until the owner says so.
    assert hub.members()["heidi"]["role"] == "viewer"
    assert hub.answer(more, "as-asked").status_code == 204
    line.until(lambda table: [m["role"] for m in table["members"]] == ["collaborator"])
    assert [ask["state"] for ask in hub.supported("heidi")["asks"][:2]] == ["accepted", "ended"]
    # Support leaves by itself.
    assert hub.api("DELETE", "visa/support/alice/tooth/ask", "heidi").status_code == 204
    line.until(lambda table: not table["members"])
    ended = hub.last("member-ended")
    assert (ended["who"], ended["whom"], ended["details"]["why"]) == ("heidi", "heidi", "support left")
    assert hub.api("DELETE", "visa/support/alice/tooth/ask", "heidi").status_code == 404


def test_declined_or_withdrawn_opens_nothing_and_is_answered_once(hub, line):
    number = hub.asked("heidi")
    assert hub.answer(number, "decline").status_code == 204
    for said in ("as-asked", "decline"):
        again = hub.answer(number, said)
        assert (again.status_code, message(again)) == (409, "request: it has been answered")
    number = hub.asked("heidi", "viewer")
    line.until(lambda table: table["requests"])
    assert hub.api("DELETE", "visa/support/alice/tooth/ask", "heidi").status_code == 204
    line.until(lambda table: not table["requests"])
    again = hub.answer(number, "as-asked")
    assert (again.status_code, message(again)) == (409, "request: it was withdrawn")
    assert hub.members() == {}
    assert [ask["state"] for ask in hub.supported("heidi")["asks"][:2]] == ["withdrawn", "declined"]


def test_one_open_ask_a_person_and_session_however_often_at_once(hub, line):
    with ThreadPoolExecutor(6) as pool:
        codes = [a.status_code for a in pool.map(lambda _: hub.ask("heidi"), range(6))]
    assert sorted(codes) == [201, 409, 409, 409, 409, 409]
    # Another of the staff asks for themselves.
    hub.asked("ivan", "viewer")
    line.until(lambda table: [r["name"] for r in table["requests"]] == ["heidi", "ivan"])


def test_only_the_owner_and_the_session_for_its_owner_answer(hub, line):
    number = hub.asked("heidi")
    other = hub.session_token("other")
    for who in ("bob", "heidi", "adam", other):
        assert hub.answer(number, "as-asked", who=who).status_code in (403, 404), who
    # Not by another of alice's own sessions either, nor under its name.
    assert hub.answer(number, "as-asked", session="alice/other").status_code == 404
    assert hub.answer(number, "as-asked", session="alice/other", who=hub.work).status_code == 404
    assert hub.members() == {}
    assert hub.answer(number, "watch", who=hub.work).status_code == 204
    line.until(lambda table: table["members"])
    told = hub.last("support-answered")
    assert (told["details"]["inside"], told["address"]) == (True, "the session")


def test_a_member_is_not_asked_into_support_and_an_odd_ask_names_the_field(hub, line):
    assert hub.let_in("adam").status_code == 201
    assert "as a member" in message(hub.ask("adam"))
    assert hub.members()["adam"]["support"] is False
    hub.api("DELETE", "visa/sharing/alice/tooth/members/adam", "alice")
    for body, field in (
        ({"role": "owner"}, "role"),
        ({"message": "x" * 2001}, "message"),
        ({"until": 1}, "until"),
    ):
        answer = hub.ask("heidi", **{"role": "viewer"} | body)
        assert answer.status_code == 400 and message(answer).startswith(field)
    for body in ({"request": "1", "answer": "watch"}, {"request": 1, "answer": "yes"}, {"request": 10**12}):
        assert hub.api("POST", "visa/sharing/alice/tooth/answers", "alice", json=body).status_code == 400
    assert hub.answer(99999, "watch").status_code == 404


def test_an_ask_of_somebody_who_lost_the_role_meanwhile_lets_nobody_in(hub, line):
    number = hub.asked("heidi")
    try:
        assert hub.api("DELETE", "groups/role-helpdesk/users", json={"users": ["heidi"]}).status_code == 200
        refused = hub.answer(number, "as-asked")
        assert (refused.status_code, message(refused)) == (
            409,
            "request: this person may not help here any more",
        )
        assert hub.members() == {}
    finally:
        hub.api("POST", "groups/role-helpdesk/users", json={"users": ["heidi"]})


def test_whoever_is_staff_no_more_is_out_at_once(hub, line):
    assert hub.answer(hub.asked("heidi"), "as-asked").status_code == 204
    line.roles(heidi="collaborator")
    try:
        hub.api("DELETE", "groups/role-helpdesk/users", json={"users": ["heidi"]})
        line.roles()
        assert hub.members()["heidi"]["refused"] == "is not of the staff here any more"
    finally:
        hub.api("POST", "groups/role-helpdesk/users", json={"users": ["heidi"]})
    line.roles(heidi="collaborator")


def test_the_owner_stops_the_session_while_staff_ask_and_while_they_are_in(hub):
    hub.run("brief")
    number = hub.asked("heidi", session="alice/brief")
    assert hub.answer(hub.asked("ivan", session="alice/brief"), "watch", "alice/brief").status_code == 204
    hub.stop_session("brief", remove=False)
    hub.until(lambda: hub.shares("alice/brief") == {}, 10, "support is out")
    refused = hub.answer(number, "as-asked", "alice/brief")
    assert refused.status_code == 409
    assert hub.last("support-withdrawn")["details"]["why"] == "the session does not run"
    assert "does not run" in message(hub.ask("heidi", session="alice/brief"))
    [one] = hub.supported("heidi", q="brief")["sessions"]
    assert (one["state"], one["may_ask"], one["why"]) == ("stopped", False, "The session does not run.")
    # Started anew, nobody of before is in it or asks.
    hub.run("brief")
    assert hub.members("alice/brief") == {}
    assert hub.api("GET", "visa/sharing/alice/brief", "alice").json()["requests"] == []
    hub.stop_session("brief")


def test_owner_reads_all_of_their_history_staff_what_they_did(hub):
    def history(who, **query):
        answer = hub.api("GET", "visa/history", who, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["events"]

    own = history("alice", session="alice/tooth", limit=500)
    assert {event["owner"] for event in own} == {"alice"} and {"support-asked"} < {e["what"] for e in own}
    assert [event["id"] for event in own] == sorted((event["id"] for event in own), reverse=True)
    page = history("alice", session="alice/tooth", limit=3)
    older = history("alice", session="alice/tooth", limit=3, before=page[-1]["id"])
    assert [event["id"] for event in page + older] == [event["id"] for event in own[:6]]
    theirs = history("heidi", limit=500)
    assert theirs and all("heidi" in (e["who"], e["whom"], e["owner"]) for e in theirs)
    inside = history("heidi", session="alice/tooth", limit=500)
    assert inside and all("heidi" in (e["who"], e["whom"]) for e in inside)
    assert history("carol", session="alice/tooth") == history("carol") == []
    assert hub.api("GET", "visa/history", "alice", params={"session": "tooth"}).status_code == 400
    for session in (hub.work, None):
        assert hub.api("GET", "visa/history", session).status_code == 403
