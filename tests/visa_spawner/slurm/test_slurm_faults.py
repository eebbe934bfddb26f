"""What a session on a cluster withstands, and what its owner reads meanwhile. Each test stands alone."""

import os
import signal
from pathlib import Path

import pytest
from slurm_hub import LIGHT, refusal
from slurm_tiles import begin_now, over, running, says

from demo.cluster.commands import CommandFailed


# The daemons -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("daemon", ["controller", "munge"])
def test_silence_while_a_session_runs_is_unknown_and_ends_nothing(slurm_hub, slurm, daemon):
    hub = slurm_hub
    job, found = running(hub)
    with slurm.silent(daemon):
        says(hub, "unknown", "has not answered since")
        assert hub.ask("tooth")["pid"] == found["pid"]
    says(hub, "running", "Running on")
    assert hub.job() == job
    assert hub.ask("tooth")["pid"] == found["pid"]


def test_accounting_stopped_changes_nothing(slurm_hub, slurm):
    hub = slurm_hub
    with slurm.silent("accounting"):
        running(hub)
        says(hub, "running", "Running on")
        hub.end_session("tooth")
        assert hub.jobs() == {}
        # It alone knows who cancelled a job; without its answer the end is told all the same.
        job, _ = running(hub)
        hub.run("scancel", str(job))
        over(hub, "cancelled on the cluster", "by you or by the cluster's staff")


def test_the_controller_is_silent_while_a_session_waits(slurm_hub, slurm, full_cluster):
    hub = slurm_hub
    hub.start_session("tooth", LIGHT)
    says(hub, "starting", "in the queue")
    job = hub.job()
    with slurm.silent("controller"):
        says(hub, "starting", "has not answered since")
    says(hub, "starting", "in the queue")
    assert hub.job() == job
    full_cluster.free()
    hub.until(lambda: hub.session("tooth")["ready"], 60, "its turn has come")
    assert hub.job() == job


def test_the_controller_falls_silent_at_the_submission(slurm_hub, slurm):
    """What was asked may have happened: it is looked for, and never asked for twice."""
    hub = slurm_hub
    running(hub, "first")
    with slurm.silent("controller"):
        hub.start_session("tooth", LIGHT)
        hub.until(lambda: "was not answered" in hub.log.read_text(), 40, "the launcher gives up")
    hub.until(lambda: hub.is_over("tooth") or hub.session("tooth")["ready"], 60, "it is settled")
    there = not hub.is_over("tooth")
    hub.until(lambda: len(hub.jobs()) == 1 + there, 60, "there is one job for it, or none")


def test_the_controller_is_down_at_the_submission(slurm_hub, slurm):
    hub = slurm_hub
    hub.token("alice")
    with slurm.down("controller"):
        # At first the hub may not know yet; then the next one is told at once.
        for name in ("tooth", "next"):
            words = refusal(hub, LIGHT, name)
            assert "The cluster d" in words, words
    hub.until(lambda: not hub.jobs() and not hub.spool(), 60, "nothing is left")


def test_a_job_that_a_controller_starts_anew_when_it_was_over_leaves_nothing(slurm_hub, slurm):
    """As one does that was killed and reads what it had written down before; the hub may not see it run."""
    hub = slurm_hub
    job, _ = running(hub, "first")
    hub.end_session("first")
    hub.until(lambda: not hub.jobs() and not hub.spool(), 60, "it is over")
    running(hub)  # somebody's: the queue is looked at each second
    files = hub.spool()
    os.kill(hub.hub.pid, signal.SIGSTOP)
    try:
        hub.run("scontrol", "requeue", str(job))
        begin_now(hub, job)
        hub.until(lambda: len(hub.spool()) > len(files), 60, "Slurm makes its log")
        hub.until(lambda: job not in hub.jobs(), 60, "it finds no plan, and ends")
    finally:
        os.kill(hub.hub.pid, signal.SIGCONT)
    hub.until(lambda: hub.spool() == files, 60, f"its log is gone: {hub.spool()}")


def test_a_session_ended_while_nothing_answers_is_ended_when_it_does(slurm_hub, slurm):
    hub = slurm_hub
    job, found = running(hub)
    with slurm.silent("controller"):
        hub.end_session("tooth", remove=False)
        assert "as soon as" in hub.session("tooth")["words"]
        assert hub.api("GET", "user", found["token"]).status_code == 403
    hub.until(lambda: not hub.jobs() and not hub.spool(), 60, "it is ended after all")
    assert hub.job_state(job) == "CANCELLED"


# The nodes ---------------------------------------------------------------------------------------------
def test_a_drained_node_keeps_its_session(slurm_hub, slurm):
    hub = slurm_hub
    job, _ = running(hub)
    node = hub.jobs()[job][2]
    slurm.drain(node)
    try:
        hub.run_session("next", LIGHT)
        assert hub.jobs()[job][2] == node
        assert {one[2] for one in hub.jobs().values()} != {node}
        says(hub, "running", "Running on")
    finally:
        slurm.resume(node)


def test_a_slurmd_that_dies_takes_no_session_with_it(slurm_hub, slurm):
    hub = slurm_hub
    job, found = running(hub)
    node = hub.jobs()[job][2]
    with slurm.down(f"slurmd-{node}"):
        assert hub.ask("tooth")["pid"] == found["pid"]
    says(hub, "running", f"Running on {node}")
    assert (hub.job(), hub.ask("tooth")["pid"]) == (job, found["pid"])


def test_a_suspended_session_runs_on_when_it_is_resumed(slurm_hub):
    hub = slurm_hub
    job, found = running(hub)
    hub.run("scontrol", "suspend", str(job))
    says(hub, "suspended", "has suspended the session")
    still = hub.session("tooth")
    assert (still["ready"], still["may_suspend"], still["may_resume"]) == (True, False, False)
    hub.run("scontrol", "resume", str(job))
    says(hub, "running", "Running on")
    assert hub.ask("tooth")["pid"] == found["pid"]


# The end -----------------------------------------------------------------------------------------------
def test_cancelled_from_its_owners_shell(slurm_hub, slurm):
    job, found = running(slurm_hub)
    slurm_hub.run("scancel", str(job), user=found["uid"], group=found["gid"], extra_groups=[])
    over(slurm_hub, "cancelled on the cluster", "under your own account")


def test_cancelled_by_root(slurm_hub):
    job, _ = running(slurm_hub)
    slurm_hub.run("scancel", str(job))
    over(slurm_hub, "cancelled on the cluster", "administrator")


def test_cancelled_by_root_while_it_waits(slurm_hub, full_cluster):
    slurm_hub.start_session("tooth", LIGHT)
    says(slurm_hub, "starting", "in the queue")
    slurm_hub.run("scancel", str(slurm_hub.job()))
    over(slurm_hub, "cancelled on the cluster", "administrator")


def test_out_of_memory_says_how_much_there_was(slurm_hub):
    running(slurm_hub)
    try:
        slurm_hub.ask("tooth", "eat?500")
    except Exception:
        pass
    over(slurm_hub, "more than its 300 MB of memory")


def test_ended_by_itself(slurm_hub):
    running(slurm_hub)
    slurm_hub.ask("tooth", "leave?7")
    over(slurm_hub, "code 7")


# GPUs, names -------------------------------------------------------------------------------------------
def test_a_session_has_the_gpu_it_asked_for_or_does_not_start(slurm_hub, slurm):
    hub = slurm_hub
    running(hub, plan="gpu")
    hub.end_session("tooth")
    devices = [Path(slurm.layout.gpu_device.format(node="n1", index=index)) for index in (0, 1)]
    for device in devices:
        device.rename(f"{device}.away")
    try:
        hub.start_session("tooth", LIGHT | {"plan": "gpu"})
        over(hub, "GPU it was promised")
    finally:
        for device in devices:
            Path(f"{device}.away").rename(device)


def test_a_name_that_needs_quoting(slurm_hub, slurm):
    hub, name = slurm_hub, "x y;$(id)"
    account = hub.accounts[name]
    slurm.person(name, account["uid"])

    def may_compute():
        try:
            return slurm.submit("true", name)
        except CommandFailed:
            return None

    hub.until(may_compute, 30, "the controller has heard of the new account")
    home = hub.root / "home" / name
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, account["uid"], account["gid"])
    hub.run_session("tooth", LIGHT, name)
    found = hub.until(lambda: hub.ask("tooth", who=name), 30, "it answers")
    assert found["uid"] == account["uid"]
    assert found["environment"]["USER"] == name
    assert [job[1] for job in hub.jobs().values()] == [name]
    hub.end_session("tooth", name)
    assert hub.jobs() == {}
