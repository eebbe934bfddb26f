"""What time does to asks and support, a colleague's word in the owner's absence, a hub killed between."""

import time

import pytest
from sharing_hub import a_sharing_hub
from staff_hub import StaffHub, message

#: Seconds that an ask waits, and that support stays.
WAITS, STAYS = 4, 5


@pytest.fixture(scope="module")
def hub():
    sharing = {"ask_minutes": WAITS / 60, "support_hours": STAYS / 3600, "owner_absent": "two-staff"}
    with a_sharing_hub(sharing, kind=StaffHub) as hub:
        for name in hub.accounts:
            hub.token(name)
        hub.work = hub.run("tooth")
        yield hub


@pytest.fixture
def line(hub):
    line = hub.line(hub.work)
    line.until(lambda table: True)
    yield line
    for who in ("heidi", "ivan", "adam"):
        hub.api("DELETE", "visa/support/alice/tooth/ask", who)
    line.close()


def state_of(hub, number, who="heidi"):
    return next(ask["state"] for ask in hub.supported(who)["asks"] if ask["id"] == number)


def test_an_ask_lapses_by_itself_and_cannot_be_answered_any_more(hub, line):
    asked = time.monotonic()
    number = hub.asked("heidi")
    line.until(lambda table: table["requests"])
    line.until(lambda table: not table["requests"], WAITS + 5)
    assert time.monotonic() - asked > WAITS - 1
    refused = hub.answer(number, "as-asked")
    assert (refused.status_code, message(refused)) == (409, "request: it has lapsed")
    assert state_of(hub, number) == "lapsed"
    assert hub.members() == {}
    lapsed = hub.audit(what="support-lapsed")
    assert [(e["who"], e["whom"], e["details"]["request"]) for e in lapsed] == [("", "heidi", number)]


def test_support_ends_by_itself_and_a_new_consent_begins_anew(hub, line):
    assert hub.answer(hub.asked("heidi"), "as-asked").status_code == 204
    let_in = time.monotonic()
    line.until(lambda table: table["members"])
    line.until(lambda table: not table["members"], STAYS + 5)
    assert time.monotonic() - let_in > STAYS - 1
    assert hub.shares() == {}
    ended = hub.last("member-ended")
    assert (ended["who"], ended["whom"], ended["details"]["why"]) == ("", "heidi", "the time is over")
    assert hub.supported("heidi")["asks"][0]["state"] == "ended"
    assert hub.answer(hub.asked("heidi"), "watch").status_code == 204
    line.until(lambda table: [m["role"] for m in table["members"]] == ["viewer"])


def test_in_the_owners_absence_another_role_has_to_agree(hub, line):
    number = hub.asked("heidi", "viewer")
    early = hub.second("ivan", number)
    assert (early.status_code, message(early)) == (409, "request: the owner can still answer")
    assert hub.supported("ivan")["asks"] == []
    line.until(lambda table: table["requests"])
    line.until(lambda table: not table["requests"], WAITS + 5)
    # Neither the asker, nor one of the same role, nor anybody who may not help here.
    assert "somebody else" in message(hub.second("heidi", number))
    assert message(hub.second("hanna", number)) == "request: somebody with another staff role has to agree"
    for who in ("lena", "alice", "bob", "iris"):
        assert hub.second(who, number).status_code == 404
    assert hub.members() == {}
    assert [ask["id"] for ask in hub.supported("hanna")["asks"]] == []
    [ask] = hub.supported("ivan")["asks"]
    assert (ask["id"], ask["may_second"], ask["staff_full_name"]) == (number, True, "Heidi H")
    assert hub.second("ivan", number).status_code == 200
    table = line.until(lambda table: table["members"])[1]
    assert [(m["name"], m["role"], m["support"]) for m in table["members"]] == [("heidi", "viewer", True)]
    seconded = hub.last("support-seconded")
    assert (seconded["who"], seconded["whom"], seconded["role"]) == ("ivan", "heidi", "viewer")
    details = seconded["details"]
    assert (details["staff_role"], details["colleague_role"]) == ("instrument-scientist", "helpdesk")
    # The owner is told, until they have read it.
    [notice] = hub.api("GET", "visa/notices", "alice").json()["notices"]
    assert "Heidi H was let into your session Tooth to watch, agreed to by Ivan I" in notice["words"]
    assert notice["id"] in {n["id"] for n in table["notices"]}
    seen = f"visa/notices/{notice['id']}/seen"
    for who in ("bob", "heidi"):
        assert hub.api("POST", seen, who).status_code == 404
    assert hub.api("POST", seen, "alice").status_code == 204
    line.until(lambda table: not table["notices"])
    assert hub.api("GET", "visa/notices", "alice").json()["notices"] == []
    # Once is once.
    assert message(hub.second("adam", number)) == "request: it has been answered"
    line.until(lambda table: not table["members"], STAYS + 5)
    assert message(hub.second("adam", number)) == "request: it has been answered"


def test_a_later_ask_takes_the_place_of_one_that_lapsed(hub, line):
    first = hub.asked("heidi")
    hub.until(lambda: state_of(hub, first) == "lapsed", WAITS + 5, "it lapses")
    second = hub.asked("heidi")
    assert hub.answer(second, "decline").status_code == 204
    assert "too much has happened" in message(hub.second("ivan", first))
    assert "has been answered" in message(hub.second("ivan", second))
    assert hub.members() == {}


def test_a_hub_that_is_killed_gives_nobody_more_than_they_had(hub):
    accepted, waiting = hub.asked("heidi"), hub.asked("ivan")
    assert hub.answer(accepted, "as-asked").status_code == 204
    hub.kill()
    hub.start()
    # In time: the answer still counts.
    late = hub.answer(waiting, "watch")
    assert late.status_code in (204, 409)
    if late.status_code == 409:
        assert message(late) == "request: it has lapsed"
    hub.kill()
    time.sleep(STAYS)
    hub.start()
    line = hub.line(hub.work)
    # The first that the session is told by the new hub knows no support any more.
    table = line.until(lambda table: True)[1]
    assert (table["members"], table["requests"]) == ([], [])
    hub.until(lambda: hub.shares() == {}, 10, "the shares are gone")
    assert state_of(hub, accepted) == "ended"
    assert state_of(hub, waiting, "ivan") == ("ended" if late.status_code == 204 else "lapsed")
    asked = len(hub.audit(what="support-asked"))
    over = hub.audit(what="support-answered,support-lapsed,support-withdrawn")
    assert len(over) == asked
    line.close()


def test_never_is_the_default(tmp_path):
    with a_sharing_hub({"ask_minutes": 0.02}, kind=StaffHub) as hub:
        for name in ("alice", "heidi", "ivan"):
            hub.token(name)
        hub.run("tooth")
        number = hub.asked("heidi")
        hub.until(lambda: state_of(hub, number) == "lapsed", 10, "it lapses")
        assert hub.supported("ivan")["asks"] == []
        refused = hub.second("ivan", number)
        assert (refused.status_code, "by the owner's consent alone" in message(refused)) == (409, True)
        assert hub.members() == {}
