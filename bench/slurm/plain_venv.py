"""The stock sessions' software on the nodes: what bench/plain has in an image, as pip installs it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from images.recipe import IMAGES

from ..hub import BenchFailed
from ..plain_image import PLAIN

FOLDER = Path("/var/cache/visa-bench")
LOCKS = (IMAGES / "base/requirements.lock", PLAIN / "plain.lock")


def ensure() -> Path:
    """The environment's folder; made where it is not up to date, which takes a minute. Raises BenchFailed."""
    spawner = f"batchspawner=={version('batchspawner')}"
    mark = hashlib.sha256(b"\0".join([*(lock.read_bytes() for lock in LOCKS), spawner.encode()])).hexdigest()
    place, said = FOLDER / "plain", FOLDER / "pip.log"
    made = place / "made-from"
    if made.exists() and made.read_text() == mark:
        return place
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    print("(installing the stock side's packages) ", end="", flush=True)
    pip = [str(place / "bin/pip"), "install", "--quiet", "--no-deps"]
    locked = [word for lock in LOCKS for word in ("-r", str(lock))]
    with said.open("wb") as log:
        for command in (
            ["/usr/bin/python3", "-m", "venv", str(place)],
            [*pip, "--require-hashes", *locked],
            [*pip, spawner],
        ):
            if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
                raise BenchFailed(f"The stock side's packages cannot be installed: see {said}")
    made.write_text(mark)
    return place
