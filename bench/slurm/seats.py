"""POST to ready of one session on a partition that is full, with a seat kept for it and without.

Full: three of the four nodes are others' for good. On the fourth there is a seat, or, without one, a job that
the session preempts: where there is none the session waits until a job ends, however long that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from demo.cluster import commands
from demo.cluster.layout import NODES, Cluster

from ..hub import BenchFailed, Hub
from ..rounds import Figures
from . import cluster as slurm
from . import sides, starts


@asynccontextmanager
async def _full(cluster: Cluster, nodes: int, partition: str = "main") -> AsyncIterator[None]:
    """So many whole nodes are another's while inside."""
    job = slurm.hold_nodes(cluster, nodes, partition)
    await _until(cluster, "nobody has the nodes", lambda lines: [str(job), "R"] in lines)
    try:
        yield
    finally:
        commands.run(cluster, "scancel", str(job))
        await _until(cluster, "the nodes are not given back", lambda lines: [str(job), "R"] not in lines)


async def _until(cluster: Cluster, trouble: str, there) -> None:
    """Wait until what the queue says of jobs, `[id, state]` each, is as it should be."""
    end = time.monotonic() + starts.PATIENCE
    question = ("squeue", "-h", "-o", "%A %t")
    while not there([line.split() for line in commands.run(cluster, *question).splitlines()]):
        if time.monotonic() > end:
            raise BenchFailed(trouble)
        await asyncio.sleep(0.1)


async def _seat(cluster: Cluster, wanted: int) -> None:
    """Wait until so many seats hold room."""
    end = time.monotonic() + 3 * starts.PATIENCE  # none is made for a minute after a job has waited
    while _seats(cluster) != wanted:
        if time.monotonic() > end:
            raise BenchFailed("there is no seat")
        await asyncio.sleep(0.1)


def _seats(cluster: Cluster) -> int:
    question = ("squeue", "-h", "-t", "R", "-u", slurm.SEATS.name, "-o", "%A")
    return len(commands.run(cluster, *question).split())


async def _start(hub: Hub, name: str, cluster: Cluster) -> float:
    session = await hub.start(name)
    await hub.stop(name)
    end = time.monotonic() + starts.PATIENCE
    while commands.run(cluster, "squeue", "-h", "-n", "visa", "-o", "%A").split():
        if time.monotonic() > end:
            raise BenchFailed("the session does not end")
        await asyncio.sleep(0.1)
    return session.seconds


async def take(figures: Figures, cluster: Cluster, rounds: int, scratch: Path) -> None:
    """Rounds of an idle and of a full partition, by a hub without seats and then by one with.

    The first of each warms up.
    """
    for side, seats in (("without", 0), ("seat", 1)):
        try:
            async with sides.hub(
                "ours", cluster, scratch / f"seats-{side}", plan="whole", seats=seats
            ) as hub:
                for number in range(rounds + 1):
                    idle, full = await _round(hub, cluster, seats, number)
                    if number:
                        figures.add("idle", side, idle)
                        figures.add("full", side, full)
                    print(".", end="", flush=True)
        finally:
            # Not before the hub is gone: it would make another seat.
            slurm.clear(cluster)


async def _round(hub: Hub, cluster: Cluster, seats: int, number: int) -> tuple[float, float]:
    """One start on an idle partition, and one on a full one."""
    await _seat(cluster, seats)
    idle = await _start(hub, f"idle{number}", cluster)
    while True:
        await _seat(cluster, seats)
        async with _full(cluster, len(NODES) - 1):
            # The others' job may have waited for a moment, and the seat have given way to it.
            if not seats:
                async with _full(cluster, 1, "spare"):
                    return idle, await _start(hub, f"full{number}", cluster)
            if _seats(cluster) == seats:
                return idle, await _start(hub, f"full{number}", cluster)
