"""A facility's directories for tests: what only root may change, and homes."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from local_hub import ACCOUNTS


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
