"""`python -m demo.cluster FOLDER`: a cluster alone, until Ctrl-C; says `ready` when it takes jobs."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import signal
from pathlib import Path

from ..processes import Supervisor
from . import accounts, configuration, daemons
from .layout import Cluster


def alone(cluster: Cluster):
    """Hold the folder for this process: a second cluster in it would end the daemons of the first.

    Raises RuntimeError when another one holds it.
    """
    configuration.folder(cluster.folder, 0o755)
    lock = open(os.open(cluster.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another one runs in {cluster.folder}") from None
    return lock


async def serve(cluster: Cluster, members: list[accounts.Member]) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    supervisor = Supervisor(cluster.folder / "run", daemons.parts(cluster, members))
    starting, stopping = asyncio.create_task(supervisor.start()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            print("ready", flush=True)
            await stopping
        starting.cancel()
    finally:
        await supervisor.stop()
        daemons.remove_leftovers(cluster)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.cluster", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "folder", type=Path, help="where all of it stands; every account must be able to enter"
    )
    parser.add_argument("--port", type=int, default=8010, help=f"the first of {Cluster.PORTS} ports")
    parser.add_argument("--name", default="visa", help="the cluster's name")
    parser.add_argument("--cpus", type=int, default=Cluster.cpus, help="cores that each node says it has")
    parser.add_argument("--memory", type=int, default=Cluster.memory_mb, help="and its memory, in MB")
    parser.add_argument(
        "--members",
        default="{}",
        help='who may compute: {"alice": {"proposals": ["ma1"], "qos": ["normal"]}}',
    )
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("The cluster needs root: its nodes run jobs as other accounts.")
    cluster = Cluster(options.folder.resolve(), options.port, options.name, options.cpus, options.memory)
    members = [
        accounts.Member(name, tuple(it.get("proposals", ())), tuple(it.get("qos", ("normal",))))
        for name, it in json.loads(options.members).items()
    ]
    try:
        with alone(cluster):
            daemons.prepare(cluster)
            asyncio.run(serve(cluster, members))
    except RuntimeError as error:
        raise SystemExit(f"The cluster did not start: {error}") from error


if __name__ == "__main__":
    main()
