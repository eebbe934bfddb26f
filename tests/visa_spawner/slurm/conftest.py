import pytest
import slurm_cluster
from slurm_desk import desk, installed_desk
from slurm_fixtures import a_modules_hub, full_cluster, slurm_hub

__all__ = ["a_modules_hub", "desk", "full_cluster", "installed_desk", "slurm_hub"]


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
