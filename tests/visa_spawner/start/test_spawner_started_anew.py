"""Sessions that their backend puts back into its queue and starts anew, on a real hub that may be killed."""

import sqlite3
import time
from datetime import UTC, datetime

import pytest
from queue_support import OPTIONS, is_queued, move, put_back, queue, reachable


@pytest.fixture
def hub(waiting_hub):
    return waiting_hub


def token_of(hub, name="tooth"):
    """The token of the session's last run."""
    return (hub.marks / f"alice+{name}.log").read_text().rpartition(" ")[2].strip()


def routes(hub):
    headers = {"Authorization": f"token {hub.proxy_token}"}
    return hub.http.get(f"{hub.proxy_api}/api/routes", headers=headers).json()


def good(hub, token):
    return hub.api("GET", "user", token).status_code == 200


def oauth_secret(hub):
    with sqlite3.connect(hub.root / "jupyterhub.sqlite") as database:
        query = "SELECT secret, redirect_uri, allowed_scopes FROM oauth_clients WHERE identifier = ?"
        return database.execute(query, ["jupyterhub-user-alice-tooth"]).fetchone()


def test_it_starts_anew_by_itself(hub):
    queue(hub)
    first = move(hub)
    token, pid, client = token_of(hub), hub.process("alice+tooth"), oauth_secret(hub)
    target = routes(hub)["/user/alice/tooth"]["target"]
    scopes = hub.api("GET", "users/alice/tokens").json()["api_tokens"]
    (mine,) = [one for one in scopes if one["note"].startswith("Server at ")]

    time.sleep(1.1)  # times are told in whole seconds
    session = put_back(hub)
    assert (session["state"], session["ready"]) == ("starting", False)
    # From the moment its backend has asked for a new token it is a start like any other.
    session = hub.until(lambda: (s := hub.session("tooth"))["pending"] and s, 10, "it is a start again")
    assert (session["state"], session["pending"], session["ready"]) == ("starting", "spawn", False)
    assert session["ends"] is None
    # Nobody is led to where it was, and who held its token holds nothing any more.
    hub.until(lambda: "/user/alice/tooth" not in routes(hub), 10, "its route is gone")
    assert not good(hub, token)
    assert hub.start_session("tooth", OPTIONS).status_code == 202
    assert len(hub.jobs()) == 1

    session = move(hub)
    assert session["state"] == "running"
    assert session["ends"] > first["ends"]
    assert hub.process("alice+tooth") != pid
    assert routes(hub)["/user/alice/tooth"]["target"] != target
    assert good(hub, token_of(hub))
    assert token_of(hub) != token
    (new,) = [
        one
        for one in hub.api("GET", "users/alice/tokens").json()["api_tokens"]
        if one["note"].startswith("Server at ")
    ]
    told = ("note", "scopes", "oauth_client", "expires_at")
    assert {name: new[name] for name in told} == {name: mine[name] for name in told}
    secret, *others = oauth_secret(hub)
    assert secret != client[0]
    assert others == list(client[1:])
    # Its end revokes the new token too, and the log that is kept holds neither.
    last = token_of(hub)
    hub.stop_session("tooth", remove=False)
    assert not good(hub, last)
    log = "\n".join(hub.session("tooth", "alice")["log"]) if "log" in hub.session("tooth") else ""
    assert token not in log
    assert last not in log


def test_before_its_backend_has_asked_for_a_token(hub):
    """It is said to start and not to be ready; neither its time nor a poll ends it."""
    (hub.marks / "hold-renew").touch()
    queue(hub, lifetime_hours=0.003)
    ends = datetime.fromisoformat(move(hub)["ends"])
    put_back(hub)
    # Beyond its end, with some polls and rounds of the task that ends sessions.
    time.sleep((ends - datetime.now(UTC)).total_seconds() + 3)
    session = is_queued(hub)
    assert session
    assert (session["state"], session["ready"], session["ends"]) == ("starting", False, None)
    assert len(hub.jobs()) == 1
    (hub.marks / "hold-renew").unlink()
    # Its new run has its whole lifetime, and ends after it.
    move(hub)
    session = hub.until(lambda: (s := hub.session("tooth"))["state"] == "stopped" and s, 20, "it is ended")
    assert session["words"] == "Ended after 1 minute, as chosen."


def test_it_can_be_stopped_while_it_waits_again(hub):
    queue(hub)
    move(hub)
    put_back(hub)
    assert hub.api("DELETE", "users/alice/servers/tooth", "alice").status_code in (202, 204)
    session = hub.until(lambda: (s := hub.session("tooth"))["pending"] is None and s, 20, "it is settled")
    assert session["state"] == "stopped"
    assert hub.jobs() == []


@pytest.mark.parametrize("killed", ["before", "between", "after"])
def test_the_hub_is_killed_meanwhile(hub, killed):
    queue(hub)
    move(hub)
    token, job = token_of(hub), hub.jobs()
    if killed == "before":
        hub.kill()
        (hub.marks / "hold-queue").touch()
        (hub.marks / "alice+tooth.requeue").touch()
        hub.until(lambda: not (hub.marks / "alice+tooth.requeue").exists(), 10, "it is put back")
        hub.start()
    elif killed == "between":
        # The token is made and not delivered yet: nobody knows it, so there has to be another.
        (hub.marks / "hold-deliver").touch()
        put_back(hub)
        hub.kill()
        (hub.marks / "hold-deliver").unlink()
        hub.start()
    else:
        put_back(hub)
        hub.kill()
        hub.start()
    hub.until(lambda: is_queued(hub), 15, "it is in the queue")
    assert not good(hub, token)
    move(hub)
    assert hub.jobs() == job
    assert good(hub, token_of(hub))
    tokens = hub.api("GET", "users/alice/tokens").json()["api_tokens"]
    assert len([one for one in tokens if one["note"].startswith("Server at ")]) == 1


def test_put_back_before_it_ever_listened(hub):
    (hub.marks / "hold-ready").touch()
    queue(hub)
    (hub.marks / "hold-queue").unlink()
    hub.until(lambda: hub.processes(), 10, "its process runs")
    token = token_of(hub)
    put_back(hub)
    assert not good(hub, token)
    (hub.marks / "hold-ready").unlink()
    move(hub)
    assert len(hub.jobs()) == 1


def test_again_and_again(hub):
    queue(hub)
    move(hub)
    for round in range(4):
        put_back(hub)
        if round % 2:
            hub.kill()
            hub.start()
        move(hub)
    assert len(hub.jobs()) == 1
    time.sleep(1.5)  # a poll and a round of the task that ends what is over
    assert reachable(hub)
