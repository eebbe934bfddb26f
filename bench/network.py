"""The stock side's network: a bridge of its own, whose address does not change.

A Linux bridge takes the lowest hardware address among its ports, so that it changes as containers come and
go, and a container that knew the old one hears nothing for 11 s. Left alone, that would fall on the stock
side's starts at random and be taken for its speed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .hub import BenchFailed
from .plain_image import IMAGE
from .podman import podman

NAME = "visa-bench-net"
#: A container of the plain image that does nothing: the bridge exists as long as it does.
HOLDER = "visa-bench-bare"


@dataclass(frozen=True)
class Network:
    """`gateway` is this machine's address on it."""

    name: str
    gateway: str


@asynccontextmanager
async def network(cpus: float, memory: int) -> AsyncIterator[Network]:
    """The network, with `HOLDER` on it under the plan's limits; both removed at the end."""
    await _remove()
    await podman("network", "create", NAME)
    try:
        described = json.loads(await podman("network", "inspect", NAME))[0]
        limits = ["--cpus", str(cpus), "--memory", str(memory)]
        await podman(
            "run",
            "--detach",
            "--init",
            "--name",
            HOLDER,
            "--network",
            NAME,
            *limits,
            IMAGE,
            "sleep",
            "infinity",
        )
        await _pin(described["network_interface"])
        yield Network(NAME, described["subnets"][0]["gateway"])
    finally:
        await _remove()


async def _pin(bridge: str) -> None:
    """Set the bridge's address to what it is: one that was set is kept."""
    address = Path(f"/sys/class/net/{bridge}/address").read_text().strip()
    process = await asyncio.create_subprocess_exec("ip", "link", "set", "dev", bridge, "address", address)
    if await process.wait():
        raise BenchFailed(f"the address of {bridge} cannot be set")


async def _remove() -> None:
    await podman("rm", "--force", "--ignore", "--time", "1", HOLDER)
    if NAME in (await podman("network", "ls", "--format", "{{.Name}}")).split():
        await podman("network", "rm", "--force", NAME)
