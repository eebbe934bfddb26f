"""A hub that is killed at any instant finds its sessions on the cluster again: no orphan, no duplicate."""

import sqlite3
import threading

import httpx
import pytest
from slurm_asking import saved
from slurm_hub import LIGHT


def start_in_the_background(hub, name="tooth"):
    """Ask for a session without waiting for what the hub, which is about to die, answers."""
    hub.token("alice")

    def ask():
        with httpx.Client(timeout=10) as http:
            try:
                http.post(
                    f"{hub.hub_url}/hub/api/users/alice/servers/{name}",
                    headers={"Authorization": f"token {hub.token('alice')}"},
                    json={"display_name": name, "user_options": LIGHT},
                )
            except httpx.TransportError:
                pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2, 0.35, 0.6])
def test_killed_while_a_session_starts(slurm_hub, seconds):
    hub = slurm_hub
    thread = start_in_the_background(hub)
    thread.join(seconds)
    hub.kill()
    hub.start()
    # Unless it was never begun, it runs in the end, in one job; or it never started, and has none.
    hub.until(
        lambda: hub.is_over("tooth") or hub.session("tooth")["ready"], 60, f"settled: {hub.session('tooth')}"
    )
    jobs = hub.jobs()
    if hub.is_over("tooth"):
        hub.until(lambda: not hub.jobs(), 30, "its job is gone")
    else:
        assert len(jobs) == 1, jobs
        assert hub.until(lambda: hub.ask("tooth"), 20, "it is reached")["uid"] == 20001
        hub.end_session("tooth")
        assert hub.jobs() == {}


def test_killed_while_sessions_wait(slurm_hub, full_cluster):
    hub = slurm_hub
    hub.start_session("tooth", LIGHT)
    hub.until(lambda: "in the queue" in hub.session("tooth")["words"], 30, "it waits")
    job = hub.job()
    for _ in range(2):
        hub.kill()
        hub.start()
        hub.until(lambda: "in the queue" in hub.session("tooth")["words"], 30, "it waits, and that is told")
        session = hub.session("tooth")
        assert (session["state"], session["ready"]) == ("starting", False)
        assert list(hub.jobs()) == [job]
    # One is cancelled by the hub that found it, another has its turn.
    hub.start_session("next", LIGHT)
    hub.until(lambda: len(hub.jobs()) == 2, 30, "two wait")
    hub.kill()
    full_cluster.free()
    hub.start()
    hub.end_session("next")
    hub.until(lambda: hub.session("tooth")["ready"], 60, "its turn has come")
    assert list(hub.jobs()) == [job]


def test_killed_while_a_session_runs(slurm_hub):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    job, found = hub.job(), hub.until(lambda: hub.ask("tooth"), 20, "it answers")
    for _ in range(2):
        hub.kill()
        # The route stays: whoever works in it does not notice.
        assert hub.ask("tooth")["pid"] == found["pid"]
        hub.start()
        session = hub.until(lambda: (s := hub.session("tooth"))["ready"] and s, 30, "it is found")
        assert session["state"] == "running"
        assert (hub.job(), hub.ask("tooth")["pid"]) == (job, found["pid"])
    # It ends while no hub looks.
    hub.kill()
    hub.ask("tooth", "leave?9")
    hub.until(lambda: not hub.jobs(), 30, "it has ended")
    hub.start()
    hub.until(lambda: hub.is_over("tooth"), 30, "that is known")
    assert "code 9" in hub.session("tooth")["words"]


def test_killed_with_the_controller_down(slurm_hub, slurm):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    job, found = hub.job(), hub.until(lambda: hub.ask("tooth"), 20, "it answers")
    # A controller that is killed forgets what it has not written down yet.
    saved(slurm)
    hub.kill()
    with slurm.down("controller"):
        hub.start()
        hub.until(lambda: hub.session("tooth")["state"] == "unknown", 60, "nobody can tell")
        assert hub.ask("tooth")["pid"] == found["pid"]
    hub.until(lambda: hub.session("tooth")["state"] == "running", 60, "it is told again")
    assert hub.job() == job


def test_what_belongs_to_no_session_is_cancelled_and_nothing_else(slurm_hub, slurm):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    kept = hub.job()
    hub.run_session("other", LIGHT)
    # Somebody else's job, and another hub's, with its mark.
    nonce = "0123456789abcdef" * 2
    strangers = [
        slurm.submit("sleep 300", "bob", f"--comment={mark}")
        for mark in ("mine", f"visa:another:{nonce}", f"visa:{hub.hub_id}:no-nonce")
    ]
    hub.kill()
    # As after a restored backup of the database: the hub knows nothing of one of them.
    with sqlite3.connect(hub.root / "jupyterhub.sqlite") as database:
        database.execute("DELETE FROM spawners WHERE name = 'other'")
    hub.start()
    hub.until(lambda: set(hub.jobs()) - set(strangers) == {kept}, 60, "the other is cancelled")
    assert hub.session("tooth")["ready"] or hub.until(lambda: hub.session("tooth")["ready"], 20, "kept")
    for job in strangers:
        slurm.until(job, "RUNNING")
    slurm.run("scancel", *map(str, strangers))
