"""`POST visa/sessions/OWNER/NAME/extend`: more time, for the owner, up to what profile and cluster allow."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from queue_support import moment, move, put_back, queue
from spawner_support import GOOD_OPTIONS


def extend(hub, body, who="alice", name="tooth", owner="alice"):
    content = body if isinstance(body, str) else json.dumps(body)
    return hub.api("POST", f"visa/sessions/{owner}/{name}/extend", who, content=content)


def close(one, other):
    return abs(moment(one) - moment(other)) <= timedelta(seconds=2)


def later(text, hours):
    return (moment(text) + timedelta(hours=hours)).isoformat()


def refused(answer, status, field):
    assert answer.status_code == status, answer.text
    message = answer.json()["message"]
    assert message.startswith(f"{field}: "), message
    return message


@pytest.fixture
def hub(waiting_hub):
    return waiting_hub


@pytest.fixture
def work(hub):
    """A container session of 2 hours, of at most 4."""
    return hub.run_session("tooth", GOOD_OPTIONS)


def test_a_container_simply_lives_longer(hub, work):
    assert work["may_extend"] == pytest.approx(2, abs=0.02)
    answer = extend(hub, {"hours": 1.5})
    assert answer.status_code == 200
    assert close(answer.json()["ends"], later(work["ends"], 1.5))
    session = hub.session("tooth")
    assert session["ends"] == answer.json()["ends"]
    assert session["lifetime_hours"] == pytest.approx(3.5, abs=0.01)
    assert session["may_extend"] == pytest.approx(0.5, abs=0.02)
    said = refused(extend(hub, {"hours": 1}), 409, "hours")
    assert "may last 4 hours in all" in said
    # A restarted hub knows it.
    hub.kill()
    hub.start()
    again = hub.until(lambda: (s := hub.session("tooth"))["ready"] and s, 15, "it is found again")
    assert again["ends"] == session["ends"]
    assert extend(hub, {"hours": session["may_extend"]}).status_code == 200
    assert hub.session("tooth")["may_extend"] == pytest.approx(0, abs=0.02)


def test_two_at_once_cannot_both_have_the_last_hours(hub, work):
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: extend(hub, {"hours": 1.5}), range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize(
    "body",
    [{}, [], "", "null", "{", {"hours": "1"}, {"hours": True}, {"hours": 0}, {"hours": -1}, {"hours": None},
     {"hours": 1, "more": 1}, '{"hours": NaN}', '{"hours": Infinity}', '{"hours": 1e400}', {"hours": 1e6}],
)  # fmt: skip
def test_anything_but_a_number_of_hours_is_refused(hub, work, body):
    refused(extend(hub, body), 400, "hours")
    assert hub.session("tooth")["ends"] == work["ends"]


def test_nobody_but_the_owner(hub, work):
    hub.token("bob")
    hub.token("heidi")
    token = hub.http.get(hub.address("tooth")).json()["environment"]["JUPYTERHUB_API_TOKEN"]
    for who in ("bob", "heidi"):
        refused(extend(hub, {"hours": 1}, who), 404, "session")
    for other in (token, None, "f" * 32):
        assert extend(hub, {"hours": 1}, other).status_code == 403
    narrow = hub.api("POST", "users/alice/tokens", json={"scopes": ["read:users!user"]}).json()["token"]
    assert extend(hub, {"hours": 1}, narrow).status_code == 403
    assert hub.session("tooth")["ends"] == work["ends"]


def test_what_does_not_run(hub):
    refused(extend(hub, {"hours": 1}, name="none"), 404, "session")
    queue(hub)
    assert hub.session("tooth")["may_extend"] == 0
    refused(extend(hub, {"hours": 1}), 409, "session")
    move(hub)
    put_back(hub)
    refused(extend(hub, {"hours": 1}), 409, "session")
    hub.api("DELETE", "users/alice/servers/tooth", "alice")
    hub.until(lambda: hub.session("tooth")["state"] == "stopped", 10, "it is stopped")
    assert extend(hub, {"hours": 1}).status_code in (404, 409)


def test_a_cluster_agrees_or_says_why_not(hub):
    queue(hub)
    session = move(hub)
    (hub.marks / "no-longer").touch()
    said = refused(extend(hub, {"hours": 1}), 409, "hours")
    (hub.marks / "no-longer").unlink()
    assert said == "hours: the cluster does not let sessions run longer"
    (hub.marks / "down").touch()
    refused(extend(hub, {"hours": 1}), 503, "hours")
    (hub.marks / "down").unlink()
    assert hub.session("tooth")["ends"] == session["ends"]
    # The plan's 3 hours are less than the profile's 4.
    refused(extend(hub, {"hours": 2}), 409, "hours")
    answer = extend(hub, {"hours": 1})
    assert close(answer.json()["ends"], later(session["ends"], 1))
    assert close((hub.marks / "alice+tooth.until").read_text(), answer.json()["ends"])
    # Put back into the queue, it gets as long again.
    put_back(hub)
    again = move(hub)
    assert again["lifetime_hours"] == pytest.approx(3, abs=0.01)


def test_a_cluster_that_ends_it_sooner_is_believed(hub):
    queue(hub)
    session = move(hub)
    sooner = later(session["ends"], -1)
    (hub.marks / "alice+tooth.until").write_text(sooner)
    hub.until(lambda: close(hub.session("tooth")["ends"], sooner), 10, "it is told")
