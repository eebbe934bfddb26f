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


def a_hub(site=None, **spawner):
    with a_facility() as root:
        furnish(root)
        write_site(root, queue=bool(site))
        hub = Hub(root, **site or {})
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
    yield from a_hub(start_timeout=25, http_timeout=3, unheard_timeout=2)


@pytest.fixture(scope="module")
def own_hub():
    """One hub for tests that kill it, and leave it running again."""
    yield from a_hub()


@pytest.fixture(scope="module")
def queue_hub():
    """One hub whose sessions on the plan `queue` wait for their place; it may be killed."""
    backends = {"container": "local_backend.LocalBackend", "slurm": "local_queue.LocalQueue"}
    yield from a_hub({"backends": backends}, start_timeout=18)


@pytest.fixture
def waiting_hub(queue_hub):
    """The queue does not move until a test says so; at the end nothing may be left."""
    hub = queue_hub
    hub.token("alice")
    (hub.marks / "hold-queue").touch()
    yield hub
    for mark in [*hub.marks.glob("hold-*"), *(hub.marks / name for name in ("queue-limit", "down", "why"))]:
        mark.unlink(missing_ok=True)
    for name in hub.names():
        hub.stop_session(name)
    assert hub.jobs() == []
    assert hub.processes() == set()
    hub.until(lambda: hub.mounts() == [], 10, "what was staged is swept")
