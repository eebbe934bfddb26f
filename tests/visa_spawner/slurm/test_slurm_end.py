"""A run of the tests that is killed leaves no daemon, no job and no account behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import slurm_cluster
from slurm_cluster import wait

from demo.cluster import people

RUN = """
import sys, time
sys.path[:0] = {paths!r}
import slurm_cluster
with slurm_cluster.running() as cluster:
    cluster.until(cluster.submit("sleep 300 & setsid sleep 301 & wait", "alice"), "RUNNING")
    slurm_cluster.wait(cluster.strangers, 30, lambda: "the job has no process")
    cluster.stop("controller")
    print(cluster.folder, flush=True)
    time.sleep(300)  # until it is killed
"""


def below(folder: str) -> list[str]:
    """Processes that have to do with a cluster's folder, or were begun by its nodes."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if folder in words or folder in " ".join(process.environ().values()):
                found.append(f"{process.pid} {words[:80]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_nothing_outlives_tests_that_are_killed():
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), str(slurm_cluster.ROOT)]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format(paths=paths)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=slurm_cluster.ROOT,
    )
    try:
        folder = process.stdout.readline().strip()
        assert folder and below(folder)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait(lambda: not below(folder), 20, lambda: f"left: {below(folder)}")
    # What stands on the disk goes with the next run.
    assert f"tests-{process.pid}" in people.owners()
    slurm_cluster.remove_leftovers()
    assert f"tests-{process.pid}" not in people.owners()
    assert not Path(folder).exists()
