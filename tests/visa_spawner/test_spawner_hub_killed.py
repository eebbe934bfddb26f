"""A hub that is killed at any instant finds its sessions again, and no more than those."""

import os
import signal
import sqlite3
import time

import pytest
from spawner_support import GOOD_OPTIONS

BRIEF = {"experiments": ["A-1"], "plan": "small"}


@pytest.fixture(autouse=True)
def nothing_left(own_hub):
    """Each test leaves the hub running; its sessions are ended, and then nothing may be left."""
    yield
    (own_hub.marks / "down").unlink(missing_ok=True)
    for name in own_hub.names():
        own_hub.stop_session(name)
    own_hub.until(lambda: own_hub.mounts() == [], 10, "what was staged is swept")
    for key in own_hub.processes():
        os.kill(own_hub.process(key), signal.SIGKILL)


def start_in_the_background(hub, name="tooth", **changes):
    # After a failed start the hub itself answers 201 to the next one, however far that is.
    assert hub.start_session(name, GOOD_OPTIONS | changes).status_code in (201, 202)


def reachable(hub, name="tooth"):
    answer = hub.http.get(hub.address(name))
    return answer.status_code == 200 and answer.json()["uid"] == 20001


def test_killed_at_every_stage_of_a_start_and_after(own_hub):
    hub = own_hub
    hub.token("alice")

    # Before anything was made at the backend: nothing runs, and the owner is told to start again.
    (hub.marks / "hold-create").touch()
    start_in_the_background(hub)
    assert len(hub.mounts()) == 3
    hub.kill()
    assert len(hub.mounts()) == 3
    (hub.marks / "hold-create").unlink()
    hub.start()
    session = hub.until(lambda: (s := hub.session("tooth"))["pending"] is None and s, 15, "it is settled")
    assert (session["state"], session["ready"]) == ("failed", False)
    assert hub.processes() == set()
    hub.until(lambda: hub.mounts() == [], 10, "what was staged is swept")

    # Made, and the hub killed before its backend could say so: it goes on where it was.
    (hub.marks / "hold-start").touch()
    start_in_the_background(hub)
    hub.until(lambda: hub.processes() == {"alice+tooth"}, 10, "its process is there")
    pid = hub.process("alice+tooth")
    hub.kill()
    (hub.marks / "hold-start").unlink()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "the interrupted start comes to its end")
    assert hub.process("alice+tooth") == pid
    hub.until(lambda: reachable(hub), 10, "its route is there")
    hub.stop_session("tooth")

    # Its process runs and has not said yet that it listens.
    (hub.marks / "hold-ready").touch()
    start_in_the_background(hub)
    hub.kill()
    hub.start()
    session = hub.session("tooth")
    assert (session["state"], session["pending"]) == ("starting", "spawn")
    (hub.marks / "hold-ready").unlink()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it says so to the next hub")
    hub.until(lambda: reachable(hub), 10, "its route is there")

    # It runs: no route is ever down, and the session is the same.
    ends, pid = hub.session("tooth")["ends"], hub.process("alice+tooth")
    hub.kill()
    assert reachable(hub)
    hub.start()
    assert reachable(hub)
    session = hub.until(lambda: (s := hub.session("tooth"))["ready"] and s, 15, "it is found again")
    assert (session["state"], session["ends"]) == ("running", ends)
    assert hub.process("alice+tooth") == pid

    # It can be stopped by the hub that found it, and its token with it.
    token = (hub.marks / "alice+tooth.log").read_text().split()[-1]
    assert hub.api("GET", "user", token).status_code == 200
    hub.stop_session("tooth")
    assert hub.api("GET", "user", token).status_code == 403
    assert hub.processes() == set()


def test_what_belongs_to_no_session_is_swept(own_hub):
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)
    hub.run_session("other", GOOD_OPTIONS)
    hub.kill()
    # As after a restored backup of the database: the hub knows nothing of one of them.

    with sqlite3.connect(hub.root / "jupyterhub.sqlite") as database:
        database.execute("DELETE FROM spawners WHERE name = 'other'")
    hub.start()
    hub.until(lambda: hub.processes() == {"alice+tooth"}, 15, "the other is swept")
    hub.until(lambda: hub.session("tooth")["ready"], 15, "the known one stays")


def test_a_new_database_ends_nothing_until_the_backup_is_back(own_hub):
    """A hub on another machine is set up first, and gets its backup then: people's work runs on meanwhile."""
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)
    hub.kill()
    backup = hub.root / "backup"
    backup.mkdir()
    for part in hub.root.glob("jupyterhub.sqlite*"):  # its journal too
        part.rename(backup / part.name)
    hub.start()
    hub.until(lambda: "knows no session" in hub.log.read_text(), 15, "a first round is over")
    assert hub.processes() == {"alice+tooth"}
    hub.kill()
    for part in hub.root.glob("jupyterhub.sqlite*"):
        part.unlink()
    for part in backup.iterdir():
        part.rename(hub.root / part.name)
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 15, "the session is back")
    assert reachable(hub)


def test_a_session_that_ended_while_the_hub_was_down(own_hub):
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)
    hub.kill()
    hub.http.get(hub.address("tooth") + "leave")
    hub.until(lambda: hub.processes() == set(), 10, "it has left")
    hub.start()
    session = hub.until(lambda: (s := hub.session("tooth"))["pending"] is None and s, 15, "it is settled")
    assert session["state"] == "failed"
    assert "(code 7)" in session["words"]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_backend_that_does_not_answer_ends_nothing(own_hub, restarted):
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)
    (hub.marks / "down").touch()
    if restarted:
        hub.kill()
        hub.start()
    session = hub.until(lambda: (s := hub.session("tooth"))["state"] == "unknown" and s, 15, "it is unknown")
    time.sleep(3)  # three rounds of polls and of the task that ends and sweeps
    assert hub.session("tooth")["words"] == "The machine does not answer"
    assert session["ready"] == hub.session("tooth")["ready"] is True
    assert reachable(hub)
    (hub.marks / "down").unlink()
    hub.until(lambda: hub.session("tooth")["state"] == "running", 15, "it is back")
    assert reachable(hub)


def test_an_answer_that_never_comes_does_not_hold_up_a_restart(own_hub):
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)

    os.kill(hub.process("alice+tooth"), signal.SIGSTOP)  # swapped out, say: alive, and silent
    hub.kill()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 10, "it is taken for alive")
    os.kill(hub.process("alice+tooth"), signal.SIGCONT)
    assert reachable(hub)


def test_stopping_on_a_backend_that_does_not_answer_is_said(own_hub):
    hub = own_hub
    hub.run_session("tooth", GOOD_OPTIONS)
    token = (hub.marks / "alice+tooth.log").read_text().split()[-1]
    (hub.marks / "down").touch()
    hub.stop_session("tooth", remove=False)
    assert "as soon as its machine answers" in hub.session("tooth")["words"]
    assert hub.api("GET", "user", token).status_code == 403
    assert hub.processes() == {"alice+tooth"}
    (hub.marks / "down").unlink()


class TestTimeIsOver:
    def test_its_lifetime(self, own_hub):
        hub = own_hub
        hub.run_session("tooth", GOOD_OPTIONS | {"lifetime_hours": 0.0012})
        hub.run_session("usual", BRIEF | {"profile": "brief"})
        session = hub.until(
            lambda: (s := hub.session("tooth"))["state"] == "stopped" and s, 20, "it is ended"
        )
        assert session["words"] == "Ended after 1 minute, as chosen."
        hub.until(lambda: hub.session("usual")["state"] == "stopped", 20, "the other too")
        assert hub.session("usual")["words"] == "Ended after 1 minute, as usual for this profile."
        assert hub.processes() == set()
        routes = hub.http.get(
            f"{hub.proxy_api}/api/routes", headers={"Authorization": f"token {hub.proxy_token}"}
        )
        assert list(routes.json()) == ["/"]

    def test_nobody_works_in_it(self, own_hub):
        hub = own_hub
        hub.run_session("tooth", BRIEF | {"profile": "idle"})
        session = hub.until(
            lambda: (s := hub.session("tooth"))["state"] == "stopped" and s, 20, "it is ended"
        )
        assert session["words"] == "Ended after 1 minute without anybody working in it."

    def test_while_its_backend_does_not_answer_it_is_left_alone(self, own_hub):
        hub = own_hub
        hub.run_session("tooth", GOOD_OPTIONS | {"lifetime_hours": 0.0012})
        (hub.marks / "down").touch()
        time.sleep(6)
        assert hub.session("tooth")["state"] == "unknown"
        (hub.marks / "down").unlink()
        hub.until(lambda: hub.session("tooth")["state"] == "stopped", 20, "it is ended then")
