"""`POST visa/sessions/OWNER/NAME/suspend`, `.../resume`: a session stands still, and goes on where it was."""

import os
import signal
from contextlib import closing
from datetime import UTC, datetime

import pytest
from queue_support import moment
from raw_line import RawLine
from spawner_support import GOOD_OPTIONS


def move(hub, what, who="alice", name="tooth", owner="alice", **options):
    return hub.api("POST", f"visa/sessions/{owner}/{name}/{what}", who, **options)


def refused(answer, status):
    assert answer.status_code == status, answer.text
    message = answer.json()["message"]
    assert message.startswith("session: "), message
    return message


@pytest.fixture
def hub(own_hub):
    own_hub.token("alice")
    yield own_hub
    (own_hub.marks / "full").unlink(missing_ok=True)
    for name in own_hub.names():
        own_hub.stop_session(name)
    assert own_hub.processes() == set()


@pytest.fixture
def work(hub):
    return hub.run_session("tooth", GOOD_OPTIONS)


def last_activity(hub):
    return moment(hub.api("GET", "users/alice").json()["servers"]["tooth"]["last_activity"])


def test_it_stands_still_and_goes_on_where_it_was(hub, work):
    assert (work["may_suspend"], work["may_resume"]) == (True, False)
    before = hub.http.get(hub.address("tooth")).json()["pid"]
    answer = move(hub, "suspend")
    assert (answer.status_code, answer.json()) == (200, {"done": True}), answer.text
    still = hub.session("tooth")
    assert (still["state"], still["words"], still["ends"]) == ("suspended", "Standing still", work["ends"])
    assert (still["may_suspend"], still["may_resume"]) == (False, True)
    assert still["may_extend"] > 0, "its time goes on, and may be more"
    assert "suspended" in refused(move(hub, "suspend"), 409)
    # A restarted hub leaves it as it is, though it answers nobody.
    hub.kill()
    hub.start()
    again = hub.until(lambda: (s := hub.session("tooth"))["may_resume"] and s, 15, "it is found again")
    assert again["state"] == "suspended" and hub.process("alice+tooth") == before
    now = datetime.now(UTC)
    assert move(hub, "resume").status_code == 200
    assert hub.session("tooth")["state"] == "running"
    assert hub.http.get(hub.address("tooth")).json()["pid"] == before
    assert last_activity(hub) >= now.replace(microsecond=0), "or it would end at once, as idle"
    refused(move(hub, "resume"), 409)


def test_one_that_goes_on_without_the_hub_counts_from_then(hub, work):
    """By staff, or by a hub that was killed meanwhile: or it would end at once, as idle."""
    move(hub, "suspend")
    hub.kill()
    os.killpg(hub.process("alice+tooth"), signal.SIGCONT)
    (hub.marks / "alice+tooth.still").unlink()
    hub.start()
    now = datetime.now(UTC).replace(microsecond=0)
    hub.until(lambda: last_activity(hub) >= now, 20, "that it goes on is noted")
    assert hub.session("tooth")["state"] == "running"


def test_nobody_is_led_into_what_stands_still(hub, work):
    """But to the hub, whose page says how it stands."""
    with closing(RawLine(hub.address("tooth"))) as line:
        move(hub, "suspend")
        with closing(hub.login("alice")) as browser:
            answer = browser.get(hub.address("tooth") + "lab", follow_redirects=True)
            # Without the portal's pages it is the hub's own for what did not work.
            assert answer.status_code == 503
            assert "This session is suspended. Standing still" in answer.text
            move(hub, "resume")
            again = browser.get(answer.url, follow_redirects=True)
            assert again.json()["pid"] == hub.process("alice+tooth")
        assert line.gives_back(b"it was open all the while")


def test_no_room_is_said_and_it_is_suspended_still(hub, work):
    move(hub, "suspend")
    (hub.marks / "full").touch()
    assert "no room" in refused(move(hub, "resume"), 503)
    assert hub.session("tooth")["state"] == "suspended"


def test_what_is_suspended_can_be_stopped_and_started_again(hub, work):
    move(hub, "suspend")
    hub.stop_session("tooth", remove=False)
    session = hub.session("tooth")
    assert (session["state"], session["may_suspend"], session["may_resume"]) == ("stopped", False, False)
    assert move(hub, "resume").status_code in (404, 409)
    assert hub.run_session("tooth", GOOD_OPTIONS)["state"] == "running"


def test_nobody_but_the_owner_and_nothing_else_in_it(hub, work):
    hub.token("bob")
    hub.token("heidi")
    token = hub.http.get(hub.address("tooth")).json()["environment"]["JUPYTERHUB_API_TOKEN"]
    narrow = hub.api("POST", "users/alice/tokens", json={"scopes": ["read:users!user"]}).json()["token"]
    for what in ("suspend", "resume"):
        for who in ("bob", "heidi"):
            refused(move(hub, what, who), 404)
        for other in (token, None, "f" * 32, narrow):
            assert move(hub, what, other).status_code == 403
        refused(move(hub, what, name="none"), 404)
        for body in ("[]", '{"hours": 1}', "null"):
            assert move(hub, what, content=body).status_code == 400
    assert hub.session("tooth")["state"] == "running"
