"""The stock side: a hub, its proxy, DockerSpawner and the plain image, on podman's Docker API."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from demo import node
from images.engine import podman_environment

from .hub import BenchFailed, Hub
from .network import Network
from .plain_image import IMAGE
from .podman import podman

PORT = 18700
USER = "bench"
#: What this side's containers are called.
PREFIX = "visa-bench-stock"


async def _answers(url: str, process: asyncio.subprocess.Process, transport=None) -> None:
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=5) as client:
        for _ in range(600):
            if process.returncode is not None:
                raise BenchFailed(f"the stock side's {url} ended with code {process.returncode}")
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise BenchFailed(f"the stock side's {url} does not answer")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _remove_leftovers() -> None:
    """Containers of a run that was killed."""
    for name in (await podman("ps", "--all", "--format", "{{.Names}}")).split():
        if name.startswith(PREFIX):
            await podman("rm", "--force", "--time", "1", name)


@asynccontextmanager
async def stock_site(run: Path, network: Network, cpus: float, memory: int) -> AsyncIterator[Hub]:
    """A stock hub with its parts; logs and database in `run`, everything stopped at the end."""
    node.install()
    socket = run / "podman.sock"
    token, password = secrets.token_hex(32), secrets.token_hex(8)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{node.node().parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(run),
        "LANG": "C.UTF-8",
        "CONTAINERS_CONF": podman_environment()["CONTAINERS_CONF"],
        "DOCKER_HOST": f"unix://{socket}",
        "BENCH_PORT": str(PORT),
        "BENCH_GATEWAY": network.gateway,
        "BENCH_NETWORK": network.name,
        "BENCH_PROXY": json.dumps(node.proxy()),
        "BENCH_IMAGE": IMAGE,
        "BENCH_PREFIX": PREFIX,
        "BENCH_PASSWORD": password,
        "BENCH_TOKEN": token,
        "BENCH_CPUS": str(cpus),
        "BENCH_MEMORY": str(memory),
    }
    config = Path(__file__).with_name("stock_hub_config.py")
    processes: list[asyncio.subprocess.Process] = []

    async def launch(name: str, *command: str) -> asyncio.subprocess.Process:
        with (run / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=run, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        processes.append(process)
        return process

    try:
        await _remove_leftovers()
        engine = await launch("engine", "podman", "system", "service", "--time=0", f"unix://{socket}")
        await _answers("http://engine/_ping", engine, httpx.AsyncHTTPTransport(uds=str(socket)))
        hub = await launch("hub", sys.executable, "-m", "jupyterhub", "-f", str(config))
        url = f"http://127.0.0.1:{PORT}"
        await _answers(f"{url}/hub/health", hub)
        headers = {"Authorization": f"token {token}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
            (await client.post(f"{url}/hub/api/users/{USER}")).raise_for_status()
            made = await client.post(f"{url}/hub/api/users/{USER}/tokens", json={"note": "bench"})
        yield Hub(
            kind="stock",
            url=url,
            user=USER,
            password=password,
            token=made.raise_for_status().json()["token"],
            container_filter=f"/{PREFIX}-{{user}}--{{name}}",
            engine_socket=str(socket),
        )
    finally:
        for process in reversed(processes):
            await _stop(process)
