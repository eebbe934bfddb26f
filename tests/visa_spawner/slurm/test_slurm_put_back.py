"""Sessions that the cluster puts back into its queue: followed to where they run anew, with a new token."""

from slurm_hub import LIGHT
from slurm_tiles import begin_now, kept, over, running, runs_anew, said, says, spool_of


def test_a_node_that_is_lost_has_its_session_start_elsewhere(slurm_hub, slurm):
    hub = slurm_hub
    job, found = running(hub)
    node = hub.jobs()[job][2]
    slurm.kill(node)
    slurm.lose(node)
    try:
        says(hub, "starting", "put it back into the queue")
        begin_now(hub, job)
        runs_anew(hub, job, found)
        assert hub.jobs()[job][2] != node
    finally:
        slurm.restart(node)


def test_a_job_that_is_put_back_is_followed_to_its_new_node(slurm_hub, slurm):
    hub = slurm_hub
    job, found = running(hub)
    node = hub.jobs()[job][2]
    hub.run("scontrol", "requeue", str(job))
    says(hub, "starting", "put it back into the queue")
    hub.run("scontrol", "update", f"JobId={job}", f"ExcNodeList={node}")
    begin_now(hub, job)
    found = runs_anew(hub, job, found)
    assert hub.jobs()[job][2] != node
    # And again, with the hub killed in between.
    hub.run("scontrol", "requeue", str(job))
    hub.kill()
    hub.start()
    begin_now(hub, job)
    runs_anew(hub, job, found)


def test_a_session_that_is_preempted_waits_for_its_turn(slurm_hub, slurm):
    hub = slurm_hub
    job, found = running(hub, plan="nice")
    other = slurm.submit("sleep 600", "bob", "--nodes=4", "--exclusive")
    slurm.until(other, "RUNNING")
    says(hub, "starting", "put it back into the queue")
    hub.run("scancel", str(other))
    begin_now(hub, job)
    runs_anew(hub, job, found)


def test_a_session_that_is_preempted_and_not_put_back_is_over(slurm_hub, slurm):
    """As on clusters where preemption ends jobs, or for jobs that may not be started again."""
    hub = slurm_hub
    job, _ = running(hub, plan="nice")
    hub.run("scontrol", "update", f"JobId={job}", "Requeue=0")
    other = slurm.submit("sleep 600", "bob", "--nodes=4", "--exclusive")
    over(hub, "for something more urgent and ended it", "Start it again")
    assert hub.job_state(job) == "PREEMPTED"
    hub.run("scancel", str(other))


def test_the_hub_is_killed_while_it_delivers_a_new_token(slurm_hub):
    """The token that nobody got is good for nothing, and the hub that comes next makes another."""
    hub = slurm_hub
    job, found = running(hub)
    before = said(hub, "is delivered again")
    spool_of(hub).chmod(0o500)
    try:
        hub.run("scontrol", "requeue", str(job))
        hub.until(lambda: said(hub, "is delivered again") > before, 60, "it cannot be delivered")
        hub.kill()
    finally:
        spool_of(hub).chmod(0o700)
    hub.start()
    begin_now(hub, job)
    runs_anew(hub, job, found)


def test_put_back_before_its_first_answer(slurm_hub):
    """The hub waits for an answer from where the session was: that none comes is no reason to end it."""
    hub = slurm_hub
    (hub.marks / "hold-answer").touch()
    hub.start_session("tooth", LIGHT)
    hub.until(lambda: kept(hub, "tooth")["port"], 60, "it has said that it listens")
    job = hub.job()
    hub.run("scontrol", "requeue", str(job))
    says(hub, "starting", "put it back into the queue")
    (hub.marks / "hold-answer").unlink()
    begin_now(hub, job)
    hub.until(lambda: hub.session("tooth")["ready"], 60, f"it runs: {hub.session('tooth')}")
    assert hub.job() == job
    assert hub.until(lambda: hub.ask("tooth"), 20, "it answers")["uid"] == 20001
