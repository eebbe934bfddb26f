"""The demo's Slurm cluster, started for the figures alone, and its controller's cost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from demo.cluster import commands, people
from demo.cluster.layout import Cluster
from demo.processes import die_with_parent

from ..hub import BenchFailed

ROOT = Path(__file__).resolve().parents[2]
#: Whose jobs they are.
PERSON = people.Account("visabench", 29901, 29901, "/var/lib/visa-bench-homes/visabench")
#: Who holds seats, and whose jobs fill the nodes beside them.
SEATS = people.Account("visabenchseats", 29902, 29902, "/nonexistent")
#: Seconds until the cluster takes jobs.
PATIENCE = 120
PORT = 23900
PREFIX = "visa-bench-slurm-"
#: What each node says it has: enough for a crowd, several times over what the machine has.
CPUS, MEMORY_MB = 32, 65536


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster while inside. Raises BenchFailed when it does not start."""
    remove_leftovers()
    owner = f"bench-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/var/lib"))
    folder.chmod(0o755)
    home = Path(PERSON.home)
    home.parent.mkdir(mode=0o755, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, PERSON.uid, PERSON.gid)
    people.give(owner, [PERSON, SEATS])
    said = folder / "cluster.log"
    command = [sys.executable, "-m", "demo.cluster", str(folder), "--port", str(PORT)]
    command += ["--cpus", str(CPUS), "--memory", str(MEMORY_MB)]
    with said.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--members", json.dumps({PERSON.name: {}, SEATS.name: {}})],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Not of this group: Ctrl-C is not to end it before its jobs.
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
    try:
        end = time.monotonic() + PATIENCE
        while b"ready" not in said.read_bytes():
            if process.poll() is not None or time.monotonic() > end:
                raise BenchFailed(f"The cluster did not start: {said.read_text()[-2000:]}")
            time.sleep(0.1)
        yield Cluster(folder, PORT, cpus=CPUS, memory_mb=MEMORY_MB)
    finally:
        process.terminate()
        process.wait()
        people.take_away(owner)
        shutil.rmtree(folder)
        shutil.rmtree(home.parent)


def remove_leftovers() -> None:
    """Remove what runs that were killed have left; their daemons died with them."""
    for owner in people.owners():
        number = owner.removeprefix("bench-")
        if number != owner and not Path("/proc", number).exists():
            people.take_away(owner)
    for folder in Path("/var/lib").glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not Path("/proc", number).exists():
            shutil.rmtree(folder)


def controller_pid(cluster: Cluster) -> int:
    """The controller's process."""
    return int((cluster.folder / "run/pids/controller").read_text())


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, threads that are gone included, to the nanosecond."""
    # The clock of another process, as clock_getcpuclockid(3) makes its number.
    return time.clock_gettime((~pid << 3) | 2)


def hold(cluster: Cluster, marks: list[str]) -> None:
    """Submit one job with each of these marks; they wait, held, until the cluster ends."""
    subprocess.run(
        [
            *("xargs", "-P", "2", "-I", "{}", "sbatch", "--quiet", "--hold", "--comment={}"),
            *(f"--uid={PERSON.uid}", f"--gid={PERSON.gid}", "--export=NONE", "--chdir=/"),
            *("--output=/dev/null", "--time=60", "--wrap=true"),
        ],
        input="\n".join(marks),
        env={"PATH": "/usr/bin:/bin"} | cluster.environment,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def hold_nodes(cluster: Cluster, nodes: int, partition: str) -> int:
    """Submit a job of the person's that takes so many whole nodes; its id."""
    return int(
        commands.run(
            cluster,
            *("sbatch", "--parsable", f"--uid={PERSON.uid}", f"--gid={PERSON.gid}", "--export=NONE"),
            *("--chdir=/", "--output=/dev/null", "--time=60", "--no-requeue", "--exclusive"),
            *(f"--nodes={nodes}", f"--partition={partition}", "--wrap=exec sleep 3600"),
        )
    )


def job_ids(cluster: Cluster) -> list[int]:
    """The jobs that wait, by number."""
    return [int(line) for line in commands.run(cluster, "squeue", "-h", "-o", "%A").split()]


def clear(cluster: Cluster) -> None:
    """Cancel all jobs."""
    for account in (PERSON, SEATS):
        commands.run(cluster, "scancel", f"--user={account.name}", timeout=120)
    end = time.monotonic() + PATIENCE
    while job_ids(cluster):
        if time.monotonic() > end:
            raise BenchFailed("Jobs do not end.")
        time.sleep(0.1)
