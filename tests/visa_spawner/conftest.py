import os
import shutil

import pytest
from furnished import a_facility, furnish
from local_hub import Hub
from spawner_support import write_site


@pytest.fixture
def tree():
    with a_facility() as root:
        yield furnish(root)


@pytest.fixture
def site_files(tree):
    """A small facility's files: profiles, a catalogue, the data it names."""
    write_site(tree.root)
    return tree.root


def a_hub(**spawner):
    with a_facility() as root:
        furnish(root)
        write_site(root)
        hub = Hub(root)
        hub.spawner |= spawner
        try:
            yield hub.start()
        finally:
            hub.close()
            if os.environ.get("VISA_TEST_HUB_LOG"):
                shutil.copy(hub.log, os.environ["VISA_TEST_HUB_LOG"])


@pytest.fixture(scope="module")
def hub():
    """One hub for all tests of a module that leave it as it was."""
    yield from a_hub(start_timeout=25, http_timeout=3)


@pytest.fixture(scope="module")
def own_hub():
    """One hub for tests that kill it, and leave it running again."""
    yield from a_hub()
