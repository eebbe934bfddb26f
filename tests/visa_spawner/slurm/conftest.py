import pytest
import slurm_cluster
import slurm_desk
from slurm_cluster import wait


@pytest.fixture(scope="session")
def slurm_daemons():
    """The run's one cluster."""
    with slurm_cluster.running() as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_daemons):
    """The run's one cluster, as every test finds it and has to leave it: idle, whole, without a job.

    Jobs of `slurm.submit` are cancelled. Whatever else a test leaves is named, and is a failure.
    """
    yield slurm_daemons
    left = slurm_daemons.clean()
    assert not left, f"the test left on the cluster: {left}"


@pytest.fixture(scope="session")
def installed_desk(slurm_daemons):
    with slurm_desk.installed(slurm_daemons) as desk:
        yield desk


@pytest.fixture
def desk(installed_desk, slurm):
    """The launcher, and an idle cluster behind it; an empty spool before and after."""
    yield installed_desk
    installed_desk.configure()
    if waiting := [line.split()[0] for line in slurm.jobs()]:
        slurm.run("scancel", *waiting)
    wait(lambda: not slurm.jobs(), 60, lambda: f"not over: {slurm.jobs()}")
    installed_desk.empty()
