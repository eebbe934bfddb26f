"""What befalls sessions before they have their place: munge silent, the spool full, held, forgotten there."""

import json
import sqlite3
import subprocess
from datetime import datetime, timedelta

from slurm_hub import LIGHT, refusal
from slurm_tiles import kept, over, running, said, says, spool_of


def test_munge_is_silent_at_a_submission_in_the_queue_and_at_an_end(slurm_hub, slurm):
    hub = slurm_hub
    first, found = running(hub, "first")
    hub.start_session("waits", LIGHT | {"plan": "everywhere"})
    says(hub, "starting", "in the queue", name="waits")
    (waits,) = set(hub.jobs()) - {first}
    before = said(hub, "was not answered")
    with slurm.silent("munge"):
        hub.start_session("tooth", LIGHT)
        says(hub, "starting", "has not answered since", name="waits")
        hub.until(lambda: said(hub, "was not answered") > before, 40, "the launcher gives up")
        hub.end_session("waits", remove=False)
        assert "as soon as" in hub.session("waits")["words"]
    hub.until(lambda: hub.job_state(waits) == "CANCELLED", 60, "what waited is cancelled after all")
    hub.until(lambda: hub.is_over("tooth") or hub.session("tooth")["ready"], 60, "it is settled")
    there = not hub.is_over("tooth")
    hub.until(lambda: len(hub.jobs()) == 1 + there, 60, "there is one job for it, or none")
    says(hub, "running", "Running on", name="first")
    assert first in hub.jobs() and hub.ask("first")["pid"] == found["pid"]


def test_held_back_and_let_go(slurm_hub, full_cluster):
    hub, alice = slurm_hub, slurm_hub.accounts["alice"]
    owner = {"user": alice["uid"], "group": alice["gid"], "extra_groups": []}
    hub.start_session("tooth", LIGHT)
    says(hub, "starting", "1st of 1")
    job = hub.job()
    hub.start_session("next", LIGHT)
    says(hub, "starting", "2nd of 2", name="next")
    hub.run("scontrol", "hold", str(job), **owner)
    says(hub, "starting", "held back with `scontrol hold`")
    says(hub, "starting", "1st of 1", name="next")
    hub.run("scontrol", "release", str(job), **owner)
    says(hub, "starting", " of 2")
    hub.run("scontrol", "hold", str(job))
    says(hub, "starting", "The cluster's staff hold it back")
    full_cluster.free()
    hub.until(lambda: hub.session("next")["ready"], 60, "the other has its turn")
    assert hub.job_state(job) == "PENDING" and hub.session("tooth")["queued"]
    hub.run("scontrol", "release", str(job))
    hub.until(lambda: hub.session("tooth")["ready"], 60, "it is let go")


def test_a_session_that_waited_too_long_is_given_up(slurm_hub, full_cluster):
    hub = slurm_hub
    hub.start_session("tooth", LIGHT)
    says(hub, "starting", "in the queue")
    hub.kill()
    began = datetime.fromisoformat(kept(hub, "tooth")["started"]) - timedelta(hours=336)
    with sqlite3.connect(hub.root / "jupyterhub.sqlite") as database:
        ((state,),) = database.execute("SELECT state FROM spawners WHERE name = 'tooth'").fetchall()
        state = json.loads(state)
        state["visa"]["started"] = began.isoformat()
        database.execute("UPDATE spawners SET state = ? WHERE name = 'tooth'", (json.dumps(state),))
    hub.start()
    over(hub, "waited 14 days for its place", "Try another plan, or later")


def test_what_the_cluster_never_starts_is_not_said_to_wait(slurm_hub, full_cluster):
    """Taken by Slurm, which then made the partition smaller: it keeps such a job for ever."""
    hub = slurm_hub
    hub.start_session("tooth", LIGHT | {"plan": "everywhere"})
    says(hub, "starting", "Waiting in the queue")
    hub.run("scontrol", "update", "PartitionName=main", "MaxNodes=2")
    try:
        says(hub, "starting", "cannot start as it is", "has not as many machines", "another plan")
    finally:
        hub.run("scontrol", "update", "PartitionName=main", "MaxNodes=UNLIMITED")
    says(hub, "starting", "Waiting in the queue")


def test_a_spool_that_cannot_be_written_is_said(slurm_hub):
    hub, spool = slurm_hub, slurm_hub.cluster.folder / "programs/spool"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "none", spool], check=True)
    try:
        with open(spool / "of-somebody-else", "wb") as file:
            subprocess.run(["head", "-c", "65536", "/dev/zero"], stdout=file, check=True)
        assert "is full or cannot be written" in refusal(hub, LIGHT)
        assert hub.spool() == []
        # Full for everybody, then closed to the one alone.
        (spool / "of-somebody-else").unlink()
        spool_of(hub).chmod(0o500)
        assert "is full or cannot be written" in refusal(hub, LIGHT, "next")
    finally:
        subprocess.run(["umount", spool], check=True)
    assert hub.jobs() == {}
    running(hub, "again")
