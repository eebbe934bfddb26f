import os
import shutil
import tempfile
from pathlib import Path

import pytest
from spawner_support import ALICE, write_site


@pytest.fixture
def facility():
    """A data tree that only root may change, as at a facility; /tmp would not do, since everyone may."""
    root = Path(tempfile.mkdtemp(prefix="visa-spawner-test-", dir="/var/lib"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture
def tree(facility):
    """One experiment and alice's home; gives a function that makes further directories of root's."""

    def make(path, mode=0o755, uid=0, gid=0):
        directory = facility / path
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, uid, gid)
        directory.chmod(mode)
        return directory

    make("visitor/a1/RAW_DATA")
    make("visitor/a1/PROCESSED_DATA", 0o2770, 0, 30001)
    make("home/alice", 0o700, ALICE.uid, ALICE.gid)
    make.root = facility
    return make


@pytest.fixture
def site_files(tree):
    """A small facility's files: profiles, a catalogue, the data it names."""
    tree("visitor/b2/RAW_DATA")
    write_site(tree.root)
    return tree.root
