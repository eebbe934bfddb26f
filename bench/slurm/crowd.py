"""A hundred starts at once, of ours and of stock, with a session so light that this machine bears it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from demo.cluster.layout import Cluster

from ..hub import BenchFailed, Hub
from ..rounds import Figures
from . import cluster as slurm
from . import sides

#: Starts at once; a stock hub takes no more than that by itself.
STARTS = 100
#: Seconds after which the crowd is given up.
PATIENCE = 280


async def starts(hub: Hub, count: int) -> list[float]:
    """Seconds from POST to ready of so many sessions, all asked for at once.

    Raises BenchFailed unless all are ready.
    """
    limits = httpx.Limits(max_connections=None)
    async with hub.client(limits=limits, timeout=PATIENCE) as client:
        try:
            async with asyncio.timeout(PATIENCE):
                names = [f"crowd{number}" for number in range(count)]
                times = await asyncio.gather(*(hub.ask_for(client, name) for name in names))
                # Only now: whatever else the hub is asked meanwhile, the others would wait for.
                for name in names:
                    await hub.check(client, f"{hub.url}/user/{hub.user}/{name}/")
        except TimeoutError:
            raise BenchFailed(f"{hub.kind}: not all of {count} sessions are ready in {PATIENCE} s") from None
    return [ready - asked for asked, ready in times]


async def take(figures: Figures, cluster: Cluster, rounds: int, scratch: Path) -> None:
    """One crowd a side: each start is a value, whatever the number of rounds."""
    for side in ("stock", "ours"):
        place = scratch / f"crowd-{side}"
        async with sides.hub(side, cluster, place, plan="crowd") as hub:
            try:
                for seconds in await starts(hub, STARTS):
                    figures.add("crowd", side, seconds)
            finally:
                # The hub must not start again what is cancelled here, so that it is slow to end.
                await asyncio.to_thread(slurm.clear, cluster)
        print(".", end="", flush=True)
    for step, seconds in steps((place / "times").read_text()).items():
        for value in seconds:
            figures.add(f"crowd {step}", "ours", value)


def steps(text: str) -> dict[str, list[float]]:
    """How long each step took, from the first session's being asked for, by what our hub wrote."""
    lines = [json.loads(line) for line in text.splitlines()]
    first = min(line["at"] for line in lines)
    return {
        what: [line["at"] - first for line in lines if line["what"] == what]
        for what in ("asked", "submitted", "placed", "port")
    }
