"""What a session's owner reads on its tile, waited for."""

import json
import sqlite3

from slurm_hub import LIGHT


def states(hub, name="tooth"):
    session = hub.session(name)
    return session["state"], session["words"]


def says(hub, state, *parts, name="tooth", seconds=60):
    """Wait until the tile shows a state with these words."""

    def there():
        now = states(hub, name)
        return now[0] == state and all(part in now[1] for part in parts)

    hub.until(there, seconds, f"{state}, {parts}, and not {states(hub, name)}")


def running(hub, name="tooth", **options):
    """A session that runs: its job, and what it says of itself."""
    hub.run_session(name, LIGHT | options)
    found = hub.until(lambda: hub.ask(name), 30, "it answers")
    return max(hub.jobs()), found


def over(hub, *parts):
    hub.until(lambda: hub.is_over("tooth"), 60, f"it is over: {states(hub)}")
    state, words = states(hub)
    assert state == "failed"
    assert all(part in words for part in parts), words
    hub.until(lambda: not hub.jobs() and not hub.spool(), 30, "nothing is left")


def begin_now(hub, job):
    """A job that is put back waits two minutes before it may begin; not in these tests."""
    hub.until(lambda: hub.job_state(job) == "PENDING", 60, f"it waits: {hub.job_state(job)}")
    # Not in the second in which its last run ended: the node refuses what was signed then.
    hub.run("scontrol", "update", f"JobId={job}", "StartTime=now+1")


def runs_anew(hub, job, before):
    found = hub.until(
        # Not its process: each node counts them for itself, so that another may have the same number.
        lambda: (
            hub.session("tooth")["ready"] and (f := hub.ask("tooth")) and f["token"] != before["token"] and f
        ),
        90,
        f"it runs anew: {states(hub)}",
    )
    assert hub.job() == job
    assert hub.api("GET", "user", found["token"]).status_code == 200
    assert hub.api("GET", "user", before["token"]).status_code == 403
    node = hub.jobs()[job][2]
    assert hub.route("tooth").startswith(f"http://{hub.address_of(node)}:")
    return found


def spool_of(hub, who="alice"):
    """Where a person's sessions have their files."""
    return hub.cluster.folder / "programs/spool" / str(hub.accounts[who]["uid"])


def kept(hub, name):
    """What the hub's database keeps of a session."""
    with sqlite3.connect(hub.root / "jupyterhub.sqlite") as database:
        ((state,),) = database.execute("SELECT state FROM spawners WHERE name = ?", (name,)).fetchall()
    return json.loads(state)["visa"]


def said(hub, words):
    """How often the hub's log has these words."""
    return hub.log.read_text().count(words)
