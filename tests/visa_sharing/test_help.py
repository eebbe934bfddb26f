"""Owners ask for help; one of the staff takes it and closes it with a word."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sharing_hub import a_sharing_hub
from staff_hub import StaffHub, message


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub(kind=StaffHub) as hub:
        for name in hub.accounts:
            hub.token(name)
        hub.work = hub.run("tooth")
        yield hub


def ask(hub, text="It does not plot", who="alice"):
    return hub.api("POST", "visa/sharing/alice/tooth/help", who, json={"message": text})


def step(hub, number, what, who, **body):
    return hub.api("POST", f"visa/support/help/{number}/{what}", who, json=body)


def listed(hub, who):
    return {one["id"]: (one["state"], one["staff"]) for one in hub.supported(who)["help"]}


def test_it_goes_to_those_who_may_help_and_one_of_them_takes_it(hub):
    line = hub.line(hub.work)
    assert ask(hub).status_code == 201
    [help] = hub.supported("heidi")["help"]
    number = help["id"]
    assert (help["message"], help["instruments"], help["owner_full_name"]) == (
        "It does not plot",
        ["id19"],
        "Alice A",
    )
    assert line.until(lambda table: table["help"])[1]["help"]["staff"] == ""
    for who in ("ivan", "hanna", "adam"):
        assert listed(hub, who) == {number: ("open", "")}
    for who in ("alice", "bob", "nils", "iris", "lena"):
        assert listed(hub, who) == {}
        assert step(hub, number, "take", who).status_code == 404
    assert message(ask(hub)) == "session: you have asked for help with it already"
    # All at once: one gets it.
    with ThreadPoolExecutor(4) as pool:
        staff = ("heidi", "ivan", "hanna", "adam")
        answers = dict(zip(staff, pool.map(lambda who: step(hub, number, "take", who), staff), strict=True))
    [winner] = [who for who, answer in answers.items() if answer.status_code == 200]
    for who, answer in answers.items():
        if who != winner:
            assert (answer.status_code, message(answer)) == (409, "request: a colleague has taken it")
        assert listed(hub, who) == {number: ("taken", winner)}
    name = hub.accounts[winner]["name"]
    assert line.until(lambda table: table["help"] and table["help"]["staff"])[1]["help"]["staff"] == name
    # Taking it opened nothing, and asked nothing.
    assert hub.members() == {}
    assert line.last[1]["requests"] == []
    assert [event["who"] for event in hub.audit(what="help-taken")] == [winner]
    # Closed by whoever took it, or the helpdesk; the owner reads why.
    closer = winner if winner != "ivan" else "hanna"
    if winner != "ivan":
        assert step(hub, number, "close", "ivan", words="no").status_code == 409
    assert step(hub, number, "close", closer, words="Install it").status_code == 200
    table = line.until(lambda table: table["help"] is None)[1]
    full_name = hub.accounts[closer]["name"]
    assert f"{full_name} closed your request for help with Tooth: Install it" in [
        n["words"] for n in table["notices"]
    ]
    assert message(step(hub, number, "close", closer, words="x")) == "request: it is closed"
    line.close()


def test_the_owner_takes_it_back(hub):
    assert ask(hub).status_code == 201
    [number] = listed(hub, "ivan")
    for who in ("bob", "heidi", hub.work):
        assert hub.api("DELETE", "visa/sharing/alice/tooth/help", who).status_code in (403, 404)
    assert hub.api("DELETE", "visa/sharing/alice/tooth/help", "alice").status_code == 204
    assert listed(hub, "ivan") == {}
    assert message(step(hub, number, "take", "ivan")) == "request: its owner took it back"
    assert hub.api("DELETE", "visa/sharing/alice/tooth/help", "alice").status_code == 404
    # One that was taken, too.
    assert ask(hub).status_code == 201
    [number] = listed(hub, "ivan")
    assert step(hub, number, "take", "ivan").status_code == 200
    assert message(step(hub, number, "take", "ivan")) == "request: you have taken it already"
    assert hub.api("DELETE", "visa/sharing/alice/tooth/help", "alice").status_code == 204
    assert hub.last("help-withdrawn")["whom"] == "ivan"


def test_help_is_asked_for_with_words_and_also_when_the_session_has_ended(hub):
    for text, code in (("", 400), ("   ", 400), ("x" * 2001, 400)):
        answer = ask(hub, text)
        assert answer.status_code == code and message(answer).startswith("message: ")
    hub.run("gone")
    hub.stop_session("gone", remove=False)
    answer = hub.api("POST", "visa/sharing/alice/gone/help", "alice", json={"message": "It ended"})
    assert answer.status_code == 201
    [number] = listed(hub, "ivan")
    # With the session's removal the request is gone as well.
    hub.api("DELETE", "users/alice/servers/gone", "alice", json={"remove": True})
    hub.until(lambda: listed(hub, "ivan") == {}, 10, "the request is gone")
    assert step(hub, number, "take", "ivan").status_code == 404
