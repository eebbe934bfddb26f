"""What the tests of sessions on the cluster share: a hub there, and a cluster that has no room."""

import os
import shutil
from contextlib import contextmanager

import pytest
from furnished import a_facility, furnish
from slurm_hub import SlurmHub, write_profiles
from spawner_support import write_site


@contextmanager
def a_slurm_hub(cluster, hub_id, before=write_profiles, **settings):
    """A hub on the cluster, once `before` has written its profiles; what it leaves there is ended."""
    with a_facility() as root:
        furnish(root)
        write_site(root)
        before(root)
        hub = SlurmHub(root, cluster, hub_id, **settings)
        try:
            yield hub.start()
        finally:
            hub.close()
            hub.leave_the_cluster()
            # What a failed test has left there is not the next module's.
            shutil.rmtree(cluster.folder / "programs/spool", ignore_errors=True)
            if os.environ.get("VISA_TEST_HUB_LOG"):
                shutil.copy(hub.log, os.environ["VISA_TEST_HUB_LOG"])


@pytest.fixture(scope="module")
def a_modules_hub(slurm_daemons):
    with a_slurm_hub(slurm_daemons, "test") as hub:
        yield hub


@pytest.fixture
def slurm_hub(a_modules_hub, slurm):
    """One hub for all tests of a module; each finds it up and without a session, and so it is left."""
    hub = a_modules_hub
    yield hub
    for mark in ("hold-ready", "hold-answer"):
        (hub.marks / mark).unlink(missing_ok=True)
    slurm.until_well()
    if hub.hub.poll() is not None:
        hub.start()
    for who in ("alice", "bob"):
        if who in hub.tokens:
            for name in hub.names(who):
                hub.end_session(name, who)
    hub.until(lambda: not hub.jobs(), 60, f"its jobs are over: {hub.jobs()}")
    hub.until(lambda: not hub.spool(), 60, f"its files are gone: {hub.spool()}")


@pytest.fixture
def full_cluster(slurm):
    """A cluster whose nodes are all taken, until `free`."""
    job = slurm.submit("sleep 600", "bob", "--nodes=4", "--exclusive")
    slurm.until(job, "RUNNING")

    class Full:
        def free(self):
            slurm.run("scancel", str(job))

    yield Full()
