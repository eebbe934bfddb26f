import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_hub import ACCOUNTS, Hub
from spawner_support import write_site


@contextmanager
def a_facility():
    """A data tree that only root may change, as at a facility; /tmp would not do, since everyone may."""
    root = Path(tempfile.mkdtemp(prefix="visa-spawner-test-", dir="/var/lib"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        # First what a killed hub has pinned there: removing below a mount would remove through it.
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if str(root) in line:
                subprocess.run(["umount", line.split()[4]], check=True)
        shutil.rmtree(root)


def furnish(root):
    """Two experiments and the homes; gives a function that makes further directories."""

    def make(path, mode=0o755, uid=0, gid=0):
        directory = root / path
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, uid, gid)
        directory.chmod(mode)
        return directory

    make("visitor/a1/RAW_DATA")
    make("visitor/a1/PROCESSED_DATA", 0o2770, 0, 30001)
    make("visitor/b2/RAW_DATA")
    for name, account in ACCOUNTS.items():
        make(f"home/{name}", 0o700, account["uid"], account["gid"])
    make.root = root
    return make


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
    yield from a_hub(start_timeout=25, http_timeout=3)


@pytest.fixture(scope="module")
def own_hub():
    """One hub for tests that kill it, and leave it running again."""
    yield from a_hub()


@pytest.fixture(scope="module")
def queue_hub():
    """One hub whose sessions on the plan `queue` wait for their place; it may be killed."""
    backends = {"container": "local_backend.LocalBackend", "slurm": "local_queue.LocalQueue"}
    yield from a_hub({"backends": backends}, start_timeout=18)
