"""Ways for tests to ask the cluster as the hub does, and jobs in numbers to be told of."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from importlib import metadata

from slurm_cluster import wait

from visa_spawner.backends.slurm.clients import open_client
from visa_spawner.backends.slurm.clients.base import SlurmClient
from visa_spawner.backends.slurm.settings import SlurmSettings


def kinds() -> list[str]:
    """The clients that can be tried here: pyslurm where it is installed and made for this Slurm."""
    found = ["commands"]
    if importlib.util.find_spec("pyslurm"):
        said = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True).stdout
        major, minor = said.split()[1].split(".")[:2]
        if metadata.version("pyslurm").startswith(f"{int(major)}.{int(minor)}."):
            found.append("pyslurm")
    return found


def client_of(slurm, kind: str, limit: float = 30, **settings) -> SlurmClient:
    """The client of that kind for the tests' cluster."""
    return open_client(
        SlurmSettings(client=kind, slurm_conf=str(slurm.slurm_conf), query_timeout=limit, **settings)
    )


def fill(slurm, count: int, mark: str, *options: str, person: str = "alice") -> None:
    """Submit `count` jobs that are held, with the same mark; each is a job of its own to Slurm."""
    account = slurm.account(person)
    subprocess.run(
        [
            *("xargs", "-P", "2", "-n", "1", "sbatch", "--quiet", "--hold", f"--comment={mark}"),
            *(f"--uid={account.uid}", f"--gid={account.gid}", "--export=NONE", "--chdir=/"),
            *("--output=/dev/null", *options, "--wrap=true", "--job-name"),
        ],
        input="\n".join(f"held{number}" for number in range(count)),
        env={"PATH": "/usr/bin:/bin"} | slurm.environment,
        text=True,
        check=True,
        capture_output=True,
    )


def saved(slurm) -> None:
    """Wait until the controller has written down what it knows now; one that is killed forgets the rest."""
    since = time.time()
    # It writes only when something has changed.
    slurm.run("scancel", str(slurm.submit("true", "alice", "--hold")))
    path = slurm.folder / "controller/job_state"
    wait(lambda: path.exists() and path.stat().st_mtime > since, 60, lambda: "the controller saves nothing")


def empty(slurm, person: str = "alice") -> None:
    """Cancel all that a person has on the cluster."""
    slurm.run("scancel", f"--user={person}", timeout=120)
