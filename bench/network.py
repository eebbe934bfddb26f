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
#: Containers that do nothing, of the plain image and of our own: the bridge exists as long as they do.
HOLDER, OWN_HOLDER = "visa-bench-bare", "visa-bench-own"
#: A home directory of who runs there.
OWN_HOME = "/tmp/home"
#: Our own image that is measured.
OWN_IMAGE = "localhost/visa/general:latest"


@dataclass(frozen=True)
class Network:
    """`gateway` is this machine's address on it; `own`: `OWN_HOLDER` is there too."""

    name: str
    gateway: str
    own: bool


@asynccontextmanager
async def network(cpus: float, memory: int, *, own: bool) -> AsyncIterator[Network]:
    """The network, with `HOLDER` on it under the plan's limits, and `OWN_HOLDER` where asked; all removed."""
    await _remove()
    await podman("network", "create", NAME)
    try:
        described = json.loads(await podman("network", "inspect", NAME))[0]
        limits = ["--cpus", str(cpus), "--memory", str(memory)]
        holders = {HOLDER: [IMAGE], OWN_HOLDER: ["--user=1000:1000", OWN_IMAGE]}
        for name, image in list(holders.items())[: 1 + own]:
            options = ["--detach", "--init", "--name", name, "--network", NAME, *limits]
            await podman("run", *options, *image, "sh", "-c", f"mkdir -p {OWN_HOME} && exec sleep infinity")
        await _pin(described["network_interface"])
        yield Network(NAME, described["subnets"][0]["gateway"], own)
    finally:
        await _remove()


async def _pin(bridge: str) -> None:
    """Set the bridge's address to what it is: one that was set is kept."""
    address = Path(f"/sys/class/net/{bridge}/address").read_text().strip()
    process = await asyncio.create_subprocess_exec("ip", "link", "set", "dev", bridge, "address", address)
    if await process.wait():
        raise BenchFailed(f"the address of {bridge} cannot be set")


async def _remove() -> None:
    await podman("rm", "--force", "--ignore", "--time", "1", HOLDER, OWN_HOLDER)
    if NAME in (await podman("network", "ls", "--format", "{{.Name}}")).split():
        await podman("network", "rm", "--force", NAME)
