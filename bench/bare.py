"""The bare stock single-user process, in a container of the plain image that runs already.

No hub, no engine and no proxy in the way: from starting the process to its first answer, timed inside.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from images.engine import CONTAINERS_CONF

from .hub import BenchFailed, Hub
from .plain_image import IMAGE
from .stock import BRIDGE, PORT

NAME = "visa-bench-bare"
INSIDE = Path(__file__).with_name("bare_inside.py")


async def _podman(*arguments: str, stdin: bytes | None = None) -> str:
    environment = {"CONTAINERS_CONF": str(CONTAINERS_CONF), **os.environ}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "podman", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    )
    out, err = await process.communicate(stdin)
    if process.returncode:
        raise BenchFailed(f"podman {arguments[0]}: {err.decode()[-500:]}")
    return out.decode()


@dataclass(frozen=True)
class Bare:
    """The container to start the process in."""

    async def start(self) -> float:
        """Seconds from starting the process to its first answer; the process is gone afterwards."""
        return float(await _podman("exec", "-i", NAME, "python3", "-", stdin=INSIDE.read_bytes()))


@asynccontextmanager
async def bare_container(hub: Hub, cpus: float, memory: int) -> AsyncIterator[Bare]:
    """The plain image with the plan's limits and what a hub tells its single-user servers; does nothing."""
    prefix = f"/user/{hub.user}/bare/"
    settings = {
        "JUPYTERHUB_API_TOKEN": hub.token,
        "JUPYTERHUB_API_URL": f"http://{BRIDGE}:{PORT + 1}/hub/api",
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{hub.user}-bare",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_USER": hub.user,
        "JUPYTERHUB_SERVER_NAME": "bare",
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:8888{prefix}",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!server={hub.user}/bare"]',
    }
    environment = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    limits = ["--cpus", str(cpus), "--memory", str(memory)]
    await _podman("rm", "--force", "--ignore", NAME)
    await _podman(
        "run", "--detach", "--init", "--name", NAME, *limits, *environment, IMAGE, "sleep", "infinity"
    )
    try:
        yield Bare()
    finally:
        await _podman("rm", "--force", "--time", "1", NAME)
