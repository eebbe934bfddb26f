"""The cluster's daemons, in the order in which they start, each for the demo's supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from ..processes import Part
from . import accounts, configuration, gpus
from .layout import NODES, Cluster, Node
from .node import remove_group

#: What the daemons may take from the environment of whoever started them: almost nothing.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
#: States, as `sinfo` has them, of a node that takes jobs.
WELL = ("idle", "mixed", "allocated", "completing", "draining", "drained", "allocated+", "reserved")


def prepare(cluster: Cluster) -> None:
    """Write the daemons' files and make GPUs and an empty database, or what of them is not there. Needs root.

    Raises RuntimeError with what MariaDB said.
    """
    configuration.write(cluster)
    gpus.make(cluster)
    data = cluster.folder / "database/data"
    if not data.exists():
        new = data.with_name("data.new")
        subprocess.run(["rm", "-rf", str(new)], check=True)
        done = subprocess.run(
            [
                "mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={new}", "--skip-test-db",
                # Not /tmp: a MariaDB that starts clears away what another has there.
                f"--tmpdir={cluster.folder / 'database'}",
                "--auth-root-authentication-method=socket",
            ],
            env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db: {done.stdout}")
        new.rename(data)


def parts(cluster: Cluster, members: Iterable[accounts.Member]) -> list[Part]:
    """All daemons; slurmdbd is ready once it knows the members' accounts."""
    members = list(members)
    return [
        munge(cluster),
        database(cluster),
        accounting(cluster, members),
        controller(cluster),
        *(node(cluster, it) for it in NODES),
    ]


def part(cluster: Cluster, name: str, command: list[str], ready, environment=None, grace: float = 10) -> Part:
    return Part(
        name=name,
        command=command,
        environment={**ENVIRONMENT, **cluster.environment, **(environment or {})},
        ready=ready,
        grace=grace,
        # Also one that is stopped, by a test for instance, must not outlive the demo.
        when_orphaned=signal.SIGKILL,
        held=cluster.held / name,
    )


def munge(cluster: Cluster) -> Part:
    folder = cluster.munge_socket.parent
    return part(
        cluster,
        "munge",
        [
            "/usr/sbin/munged", "--foreground", "--force", f"--socket={cluster.munge_socket}",
            f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
            f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log",
        ],
        says(cluster, "munge", "-n", "-S", str(cluster.munge_socket)),
    )  # fmt: skip


def database(cluster: Cluster) -> Part:
    """MariaDB on a socket that only root reaches; small, and careless about a power cut, as a demo may be."""
    folder = cluster.folder / "database"
    return part(
        cluster,
        "database",
        [
            "/usr/sbin/mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/data",
            f"--socket={cluster.database_socket}", "--skip-networking", f"--pid-file={folder}/pid",
            f"--tmpdir={folder}",
            "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0", "--performance-schema=OFF",
            "--skip-name-resolve",
        ],
        says(cluster, "mariadb-admin", "--no-defaults", f"--socket={cluster.database_socket}", "ping"),
    )  # fmt: skip


def accounting(cluster: Cluster, members: list[accounts.Member]) -> Part:
    answers = says(cluster, "sacctmgr", "-n", "show", "qos", "format=name")

    async def ready() -> None:
        await answers()
        await asyncio.to_thread(accounts.write, cluster, members)

    return part(
        cluster,
        "accounting",
        ["/usr/sbin/slurmdbd", "-D"],
        ready,
        # It reads its file from beside slurm.conf, and finds the database's socket by this.
        {"MYSQL_UNIX_PORT": str(cluster.database_socket)},
    )


def controller(cluster: Cluster) -> Part:
    return part(
        cluster,
        "controller",
        ["/usr/sbin/slurmctld", "-D", "-f", str(cluster.slurm_conf)],
        says(cluster, "scontrol", "ping", wanted=lambda words: "is UP" in words),
    )


def node(cluster: Cluster, which: Node) -> Part:
    """One node; the last one is ready when all are, so that they come up side by side."""
    program = str(Path(__file__).with_name("node.py"))
    held = str(cluster.held / f"slurmd-{which.name}")
    command = ["/usr/sbin/slurmd", "-D", "-f", str(cluster.slurm_conf), "-N", which.name]

    async def at_once() -> None:
        return None

    asked = ["sinfo", "-h", "-N", "-p", "main", "-o", "%N %T"]
    all_well = says(cluster, *asked, wanted=well)
    return part(
        cluster,
        which.name,
        [sys.executable, "-I", "-S", program, group(cluster, which), held, *command],
        all_well if which == NODES[-1] else at_once,
    )


def group(cluster: Cluster, which: Node) -> str:
    """The node's name among those of all clusters on this machine."""
    return f"{cluster.port}-{which.name}"


def remove_leftovers(cluster: Cluster) -> None:
    """Remove what nodes that are gone have left outside of the cluster's folder; at most two seconds."""
    left = [group(cluster, it) for it in NODES]
    for _ in range(20):
        left = [name for name in left if not remove_group(name)]
        if not left:
            return
        time.sleep(0.1)  # the last processes of a node die a moment after it


def well(words: str) -> bool:
    """Whether every node in `sinfo`'s answer takes jobs, or would but for an administrator."""
    states = [line.split()[1] for line in words.splitlines()]
    return len(states) == len(NODES) and all(state in WELL for state in states)


def says(
    cluster: Cluster, *command: str, wanted: Callable[[str], bool] = lambda words: True
) -> Callable[[], Awaitable[None]]:
    """A wait until a command succeeds, with an answer that is `wanted`."""

    async def wait() -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **ENVIRONMENT, **cluster.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            out, _ = await process.communicate()
            if process.returncode == 0 and wanted(out.decode(errors="replace")):
                return
            await asyncio.sleep(0.1)

    return wait
