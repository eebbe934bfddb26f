"""POST to ready of one session on an idle partition, ours beside stock; and what the job alone takes of ours.

The job's own start is a job of the same plan, submitted by `sbatch` itself: the same node program, image and
session, no hub, no launcher, until the session's socket listens.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path

from demo.cluster import commands
from demo.cluster.layout import Cluster
from visa_spawner.backends.slurm.job import new_mark
from visa_spawner.backends.slurm.launch import slurm as sbatch
from visa_spawner.backends.slurm.launch.configuration import Configuration
from visa_spawner.backends.slurm.launch.configuration import read as read_configuration

from ..hub import BenchFailed, Hub, Session
from ..rounds import Figures
from . import cluster as slurm
from . import sides

#: Steps of our start that are told apart, in order, by what TimedBackend writes.
STEPS = ("asked", "submitted", "port")
PATIENCE = 60


def told(times: Path, name: str) -> dict[str, dict]:
    """What our hub wrote of a session, by step. Raises BenchFailed where a step is missing."""
    lines = [json.loads(line) for line in times.read_text().splitlines()]
    found = {line["what"]: line for line in lines if line["key"] == f"{slurm.PERSON.name}/{name}"}
    missing = [step for step in STEPS if step not in found]
    if missing:
        raise BenchFailed(f"our hub has not told of {', '.join(missing)} of {name}")
    return found


def listens(uid: int, tables: list[str]) -> bool:
    """Whether an account has a socket that listens on all addresses, by the text of /proc/net/tcp."""
    rows = (line.split() for table in tables for line in table.splitlines()[1:])
    return any(
        row[1].startswith("00000000:") and row[3] == "0A" and row[7] == str(uid) for row in rows if row
    )


def _tables() -> list[str]:
    return [Path("/proc/net/tcp").read_text()]


async def alone(cluster: Cluster, configuration: Configuration, asked: dict) -> float:
    """Seconds from `sbatch` to the listening session, of a job as our hub asked for; gone afterwards."""
    who, nonce = slurm.PERSON, secrets.token_hex(16)
    spool = configuration.spool.format(uid=who.uid)
    # No hub knows it: one that answered would end it as soon as it listens, before that can be seen.
    environment = {**asked["told"]["environment"], "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api"}
    plan = json.dumps({**asked["told"], "environment": environment})
    for kind, text in (("plan", plan), ("token", f"0\n{secrets.token_hex(16)}\n")):
        path = Path(spool, f"{nonce}.{kind}")
        path.touch(0o600)
        os.chown(path, who.uid, who.gid)
        path.write_text(text)
    command = sbatch.arguments(configuration, asked["wanted"], new_mark("alone"), spool, nonce)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        f"--uid={who.uid}",
        f"--gid={who.gid}",
        env=sbatch.environment(configuration),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    await process.communicate(sbatch.script(configuration, spool, nonce).encode())
    if process.returncode:
        raise BenchFailed(f"sbatch ended with code {process.returncode}")
    while not listens(who.uid, _tables()):
        if time.perf_counter() - began > PATIENCE:
            raise BenchFailed("a session that was submitted by hand does not listen")
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - began
    await asyncio.to_thread(slurm.clear, cluster)
    return seconds


async def _idle(cluster: Cluster) -> None:
    """Wait until nothing of the last session is left: no job, no socket."""
    end = time.monotonic() + PATIENCE
    while commands.run(cluster, "squeue", "-h", "-o", "%A").split() or listens(slurm.PERSON.uid, _tables()):
        if time.monotonic() > end:
            raise BenchFailed("the last session does not end")
        await asyncio.sleep(0.1)


async def _start(hub: Hub, name: str, cluster: Cluster) -> Session:
    session = await hub.start(name)
    await hub.stop(name)
    await _idle(cluster)
    return session


async def take(figures: Figures, cluster: Cluster, rounds: int, scratch: Path) -> None:
    """Rounds of stock, ours and the job alone in turn; the first warms up."""
    async with AsyncExitStack() as stack:
        places = {side: scratch / f"starts-{side}" for side in ("stock", "ours")}
        hubs = {
            side: await stack.enter_async_context(sides.hub(side, cluster, place))
            for side, place in places.items()
        }
        configuration = read_configuration(str(cluster.folder / "programs/slurm.json"))
        try:
            for number in range(rounds + 1):
                name = f"start{number}"
                taken = {}
                for side in list(hubs)[:: 1 if number % 2 else -1]:
                    taken[side] = (await _start(hubs[side], name, cluster)).seconds
                steps = told(places["ours"] / "times", name)
                job = await alone(cluster, configuration, steps["asked"])
                if number:
                    for side, seconds in taken.items():
                        figures.add("start", side, seconds)
                    known = steps["port"]["at"] - steps["asked"]["at"]
                    figures.add("port known", "ours", known)
                    figures.add("job alone", "ours", job)
                    figures.add("submission", "ours", steps["submitted"]["at"] - steps["asked"]["at"])
                print(".", end="", flush=True)
        finally:
            slurm.clear(cluster)
