"""Strangers and bad luck on a cluster that sessions share: ids used again, files replaced, marks copied."""

import asyncio
import json

from slurm_hub import LIGHT
from slurm_tiles import kept, spool_of
from traitlets.config import Config

from demo.cluster.layout import NODES
from visa_spawner.backends.slurm.cluster import Cluster

LEFT = "is to be ended"
SILENT = "Slurm does not answer, so its sessions are unknown"


def looks(hub):
    """How often the hub has looked at the queue."""
    text = hub.http.get(
        f"{hub.hub_url}/hub/metrics", headers={"Authorization": f"token {hub.admin_token}"}
    ).text
    (count,) = [
        line.split()[-1] for line in text.splitlines() if 'slurm_question_seconds_count{asked="jobs"}' in line
    ]
    return float(count)


def tries(hub):
    """How often it failed to remove what was left of a session."""
    return hub.log.read_text().count("is tried again")


def test_a_job_id_that_is_used_again_is_another_job(slurm_hub, slurm):
    """A controller that lost its state counts its jobs from the beginning."""
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    job = hub.job()
    hub.kill()
    hub.run("scancel", str(job))
    hub.until(lambda: not hub.jobs() and not slurm.strangers(), 60, "it is over")
    own = start_counting_again(slurm, job)
    assert own == job
    hub.start()
    hub.until(lambda: hub.is_over("tooth"), 30, f"it is over: {hub.session('tooth')}")
    hub.end_session("tooth")
    assert slurm.job(job)["JobState"] == "RUNNING"


def start_counting_again(slurm, first):
    """Have the controller lose its state; gives the id of the first job afterwards, alice's own."""
    whole = slurm.slurm_conf.read_text()
    slurm.kill("controller")
    try:
        for state in (slurm.folder / "controller").glob("job_state*"):
            state.unlink()
        slurm.slurm_conf.write_text(f"{whole}\nFirstJobId={first}\n")
        slurm.restart("controller")
    finally:
        slurm.slurm_conf.write_text(whole)
    job = slurm.submit("sleep 600", "alice")
    slurm.until(job, "RUNNING")
    return job


def test_a_session_that_listens_while_the_controller_is_silent_starts_when_it_answers(slurm_hub, slurm):
    hub = slurm_hub
    (hub.marks / "hold-ready").touch()
    hub.start_session("tooth", LIGHT)
    hub.until(lambda: "RUNNING" in str(hub.jobs()), 30, "its job runs")
    hub.until(lambda: "to answer" in hub.session("tooth")["words"], 30, f"{hub.session('tooth')}")
    before = hub.log.read_text().count(SILENT)
    with slurm.silent("controller"):
        hub.until(lambda: hub.log.read_text().count(SILENT) > before, 30, "nobody can tell")
        (hub.marks / "hold-ready").unlink()
        hub.until(lambda: kept(hub, "tooth")["port"], 20, "it has said that it listens")
        assert hub.session("tooth")["state"] != "failed", hub.session("tooth")
    hub.until(lambda: hub.session("tooth")["ready"], 60, f"it runs: {hub.session('tooth')}")


def test_files_that_cannot_be_removed_are_not_tried_at_every_look(slurm_hub):
    """Whoever works in a session can close its owner's directory, or put something else in a file's place."""
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    spool_of(hub).chmod(0o500)
    try:
        hub.end_session("tooth")
        hub.until(lambda: tries(hub), 20, "it is tried")
        before, now = tries(hub), looks(hub)
        hub.until(lambda: looks(hub) > now + 6, 60, "it was looked often")
        assert tries(hub) - before <= 3
    finally:
        spool_of(hub).chmod(0o700)
    hub.until(lambda: not hub.spool(), 60, "they are gone")


def test_a_directory_in_a_files_place_is_left_to_whoever_made_it(slurm_hub):
    hub = slurm_hub
    hub.run_session("tooth", LIGHT)
    (log,) = spool_of(hub).glob("*.log")
    log.unlink()
    log.mkdir()
    before = hub.log.read_text().count(LEFT)
    try:
        hub.end_session("tooth")
        assert hub.spool() == [log.name]
        assert hub.log.read_text().count(LEFT) == before
    finally:
        log.rmdir()


def test_a_launcher_that_is_killed_leaves_nothing(slurm_hub):
    hub = slurm_hub
    configuration = hub.cluster.folder / "programs/slurm.json"
    whole = configuration.read_text()
    killer = configuration.with_name("killer")
    killer.write_text("#!/bin/sh\nkill -9 $PPID\n")
    killer.chmod(0o755)
    configuration.write_text(json.dumps(json.loads(whole) | {"sbatch": str(killer)}))
    try:
        hub.start_session("tooth", LIGHT)
        hub.until(lambda: hub.is_over("tooth"), 60, "it has failed")
    finally:
        configuration.write_text(whole)
    assert "never arrived" in hub.session("tooth")["words"]
    hub.until(lambda: not hub.spool(), 40, f"its files are gone: {hub.spool()}")


def test_a_node_that_comes_back_elsewhere_is_reached_there(slurm):
    """Not where it was: that may be anybody's by now."""
    asyncio.run(_follow_a_node(slurm, next(node for node in NODES if node.name == "n2")))


async def _follow_a_node(slurm, node):
    settings = {"hub_id": "elsewhere", "slurm_conf": str(slurm.slurm_conf), "nodes_interval": 1.0}
    cluster = Cluster(config=Config({"Cluster": settings}))
    try:
        assert await cluster.address(node.name) == node.address
        slurm.run("scontrol", "update", f"nodename={node.name}", "nodeaddr=127.0.99.1")
        try:
            async with asyncio.timeout(30):
                while await cluster.address(node.name) != "127.0.99.1":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            slurm.run("scontrol", "update", f"nodename={node.name}", f"nodeaddr={node.address}")
    finally:
        await cluster.close()
