"""Sessions that wait in a queue for longer than anything else may take, on a real hub that may be killed."""

import json
import os
import random
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from queue_support import OPTIONS, is_queued, moment, move, queue, say, settled
from spawner_support import GOOD_OPTIONS

#: Seconds after which JupyterHub would give up a start on this hub, were there no queue.
START_TIMEOUT = 18


@pytest.fixture
def hub(waiting_hub):
    return waiting_hub


def follow_progress(hub, name="tooth", who="alice"):
    """The messages of the progress stream, read by a thread of its own."""
    events = []

    def read():
        headers = {"Authorization": f"token {hub.token(who)}"}
        url = f"{hub.hub_url}/hub/api/users/{who}/servers/{name}/progress"
        with hub.http.stream("GET", url, headers=headers, timeout=90) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    events.append(json.loads(line[5:]))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return events, thread


def test_it_waits_longer_than_a_start_may_take(hub):
    say(hub, "place", "3rd")
    asked = datetime.now(UTC)
    session = queue(hub)
    assert (session["state"], session["pending"], session["ready"]) == ("starting", "spawn", False)
    assert session["ends"] is None
    assert hub.mounts() == []
    events, thread = follow_progress(hub)
    for place in range(40):
        say(hub, "place", f"place {place}")
        time.sleep(0.1)
    say(hub, "place", "1st")
    hub.until(lambda: hub.session("tooth")["words"] == "In the queue: 1st", 10, "its place is said")
    time.sleep(max(0, START_TIMEOUT + 2 - (datetime.now(UTC) - asked).total_seconds()))
    assert hub.session("tooth")["state"] == "starting"
    # Who comes late is told the last place alone.
    late, _ = follow_progress(hub)
    session = move(hub)
    thread.join(10)
    said = [event["message"] for event in events]
    assert sum(words.startswith("In the queue") for words in said) > 10
    assert events[-1]["ready"]
    progress = [event["progress"] for event in events]
    assert progress == sorted(progress)
    assert [event["message"] for event in late if "In the queue" in event["message"]] == ["In the queue: 1st"]

    # The lifetime counts from when it runs, and the cluster's own end is the session's.
    ends, began = moment(session["ends"]), json.loads((hub.marks / "alice+tooth.state").read_text())["began"]
    assert abs((ends - datetime.fromtimestamp(began, UTC)) - timedelta(hours=2)) < timedelta(seconds=2)
    assert moment(session["since"]) - asked > timedelta(seconds=START_TIMEOUT)
    plan = json.loads((hub.marks / "alice+tooth.plan").read_text())
    assert plan == {"hours": 2.0, "account": "a-1"}


def test_after_the_queue_its_own_time_counts(hub):
    session = queue(hub, "slow", profile="queue-never")
    time.sleep(3)
    (hub.marks / "hold-queue").unlink()
    session = hub.until(lambda: (s := hub.session("slow"))["pending"] is None and s, 30, "it is given up")
    assert (session["state"], session["queued"]) == ("failed", False)
    assert "was not ready within 1 minute" in session["words"]
    assert hub.jobs() == []


def test_stopped_in_the_queue(hub):
    queue(hub)
    assert len(hub.jobs()) == 1
    assert hub.api("DELETE", "users/alice/servers/tooth", "alice").status_code in (202, 204)
    session = settled(hub)
    assert (session["state"], session["words"]) == ("stopped", "The start was stopped.")
    assert hub.jobs() == []


def test_ended_in_the_queue(hub):
    queue(hub)
    say(hub, "why", "The cluster's staff took it out of the queue.")
    os.kill(hub.jobs()[0], signal.SIGKILL)
    say(hub, "alice+tooth.state", '{"state": "ended", "restarts": 0}')
    session = settled(hub)
    assert (session["state"], session["words"]) == ("failed", "The cluster's staff took it out of the queue.")


def test_it_does_not_wait_for_ever(hub):
    say(hub, "queue-limit", "6")
    queue(hub)
    session = settled(hub)
    assert session["state"] == "failed"
    assert session["words"].startswith("The session waited 1 minute for its place")
    assert hub.jobs() == []


class TestRestarted:
    """While it waits or starts the hub is killed: to everybody it goes on as the start it is."""

    def test_it_goes_on(self, hub):
        queue(hub)
        for _ in range(2):
            hub.kill()
            hub.start()
            session = hub.until(lambda: is_queued(hub), 10, "it is in the queue")
            assert (session["pending"], session["ready"]) == ("spawn", False)
        model = hub.api("GET", "users/alice/servers/tooth", "alice").json()
        assert (model["pending"], model["ready"], model["stopped"]) == ("spawn", False, False)
        # Asked again, it is not started again; and who asks how it goes is told.
        assert hub.start_session("tooth", OPTIONS).status_code == 202
        assert len(hub.jobs()) == 1
        events, thread = follow_progress(hub)
        hub.until(lambda: len(events) > 1, 10, "its steps are told")
        move(hub)
        thread.join(10)
        assert events[-1]["ready"]
        assert len(hub.jobs()) == 1
        routes = hub.http.get(
            f"{hub.proxy_api}/api/routes", headers={"Authorization": f"token {hub.proxy_token}"}
        ).json()
        assert "/user/alice/tooth" in routes
        # The hub that found it notices its end.
        hub.http.get(hub.address("tooth") + "leave")
        session = hub.until(lambda: (s := hub.session("tooth"))["state"] == "failed" and s, 20, "it is seen")
        assert session["words"].startswith("The session ended by itself (code 7)")

    @pytest.mark.parametrize("remove", [False, True])
    @pytest.mark.parametrize("stage", ["queue", "ready"])
    def test_it_can_be_stopped(self, hub, remove, stage):
        (hub.marks / "hold-ready").touch()
        queue(hub)
        if stage == "ready":
            (hub.marks / "hold-queue").unlink()
            hub.until(lambda: hub.processes(), 10, "its process runs")
        hub.kill()
        hub.start()
        hub.until(lambda: hub.session("tooth")["pending"] == "spawn", 10, "it goes on")
        answer = hub.api("DELETE", "users/alice/servers/tooth", "alice", json={"remove": remove})
        assert answer.status_code in (202, 204), answer.text
        if remove:
            hub.until(lambda: hub.session("tooth") is None, 10, "it is gone")
        else:
            assert settled_words(hub) == "The start was stopped."
        assert hub.jobs() == []
        assert hub.processes() == set()

    def test_what_ended_meanwhile_is_said(self, hub):
        queue(hub)
        hub.kill()
        say(hub, "why", "The cluster's staff took it out of the queue.")
        os.kill(hub.jobs()[0], signal.SIGKILL)
        say(hub, "alice+tooth.state", '{"state": "ended", "restarts": 0}')
        hub.start()
        assert settled_words(hub) == "The cluster's staff took it out of the queue."
        # It can be started again.
        queue(hub)
        move(hub)

    def test_a_cluster_that_does_not_answer_ends_nothing(self, hub):
        queue(hub)
        (hub.marks / "down").touch()
        hub.kill()
        hub.start()
        time.sleep(2)
        session = hub.session("tooth")
        assert (session["state"], session["pending"]) == ("starting", "spawn")
        (hub.marks / "down").unlink()
        move(hub)

    def test_killed_ten_times(self, hub):
        """At moments that chance chooses: four times in the queue, four while they start, and afterwards."""
        chance = random.Random(7)
        (hub.marks / "hold-ready").touch()
        names = ["one", "two", "three"]
        for name, options in zip(names, [OPTIONS, OPTIONS, GOOD_OPTIONS], strict=True):
            assert hub.start_session(name, options).status_code in (201, 202)
        jobs, process = sorted(hub.jobs()), hub.process("alice+three")
        for round in range(10):
            if round == 4:
                (hub.marks / "hold-queue").unlink()
            if round == 8:
                (hub.marks / "hold-ready").unlink()
            time.sleep(chance.uniform(0, 1.2))
            hub.kill()
            time.sleep(chance.uniform(0, 0.3))
            hub.start()
            assert sorted(hub.jobs()) == jobs
        for name in names:
            move(hub, name)
        assert sorted(hub.jobs()) == jobs
        assert hub.process("alice+three") == process
        assert hub.processes() == {"alice+one", "alice+two", "alice+three"}
        tokens = hub.api("GET", "users/alice/tokens").json()["api_tokens"]
        assert sum(one["note"].startswith("Server at ") for one in tokens) == 3


def settled_words(hub, name="tooth"):
    return settled(hub, name)["words"]
