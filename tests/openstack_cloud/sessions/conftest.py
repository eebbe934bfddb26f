import os

import pytest
from guests import Guests
from openstack_hub import Hub

from tests.openstack_cloud import environment
from tests.openstack_cloud.cloud import Cloud


@pytest.fixture(scope="session")
def cloud():
    """A whole OpenStack, whose compute host runs nothing."""
    if lacking := environment.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing on this machine: {lacking}")
        pytest.skip(f"missing on this machine: {lacking}")  # a developer's; where CI is true it fails above
    made = Cloud().start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def all_guests(tmp_path_factory):
    made = Guests(tmp_path_factory.mktemp("guests"))
    yield made
    made.close()


@pytest.fixture
def guests(all_guests):
    yield all_guests
    all_guests.clear()


@pytest.fixture
async def make_hub(cloud, guests, tmp_path):
    """Hubs with settings of their own; each leaves the cloud empty."""
    made = []

    async def make(**settings):
        made.append(Hub(cloud, guests, tmp_path, **settings))
        await made[-1].machines.watch.asked_once()
        return made[-1]

    yield make
    for hub in made:
        await hub.close()


@pytest.fixture
async def hub(make_hub):
    return await make_hub()
