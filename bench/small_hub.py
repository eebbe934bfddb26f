"""A hub with its proxy, as small as one can be, for figures that need no portal: one account."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx

from demo import node
from demo.processes import die_with_parent

from .hub import BenchFailed

ROOT = Path(__file__).resolve().parents[1]
#: Ours, with whatever backend the settings name.
CONFIG = Path(__file__).with_name("small_hub_config.py")
#: Seconds until a hub answers.
PATIENCE = 60


@asynccontextmanager
async def running(
    side: str,
    settings: Mapping,
    scratch: Path,
    *,
    person: str,
    config: Path = CONFIG,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[str, str]]:
    """Its address and a token of the person's, who has logged in; logs and database are in `scratch`.

    `settings` has `port`, the first of three, and where the hub itself listens, `host`. Raises BenchFailed.
    """
    node.install()
    scratch.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}:{node.node().parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    port, host = settings["port"], settings.get("host", "127.0.0.1")
    token = secrets.token_hex(32)
    known = {
        "PATH": path,
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
        "BENCH_SETTINGS": json.dumps({**settings, "host": host, "token": token}),
    } | dict(environment or {})
    processes: list[subprocess.Popen] = []
    try:
        for name, command in (
            ("proxy", _proxy(port, host)),
            ("hub", [sys.executable, "-m", "jupyterhub", "-f", str(config)]),
        ):
            with (scratch / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=scratch,
                    env=known,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(die_with_parent, signal.SIGKILL),
                )
            processes.append(process)
        url = f"http://127.0.0.1:{port}"
        yield url, await _token_of(side, url, token, process, person)
    except BenchFailed as error:
        if side in str(error):
            error.add_note((scratch / "hub.log").read_text(errors="replace")[-3000:])
        raise
    finally:
        for process in processes:
            # What the hub started is ended by whoever measures, sooner than the hub would by itself.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _proxy(port: int, host: str) -> list[str]:
    """The proxy's command; the hub's own would outlive a hub that is killed."""
    return [
        *node.proxy(),
        *("--ip", "127.0.0.1", "--port", str(port), "--log-level", "warn"),
        *("--api-ip", "127.0.0.1", "--api-port", str(port + 2)),
        *("--default-target", f"http://{host}:{port + 1}"),
    ]


async def _token_of(side: str, url: str, token: str, process: subprocess.Popen, person: str) -> str:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        async with asyncio.timeout(PATIENCE):
            while True:
                if process.poll() is not None:
                    raise BenchFailed(f"the hub of {side} ended with code {process.returncode}")
                try:
                    if (await client.get("/hub/health")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        # Logged in, since ours takes a person's account from there.
        await client.get("/hub/login")
        form = {"username": person, "password": "x", "_xsrf": client.cookies["_xsrf"]}
        if (await client.post("/hub/login", data=form)).status_code != 302:
            raise BenchFailed(f"nobody can log in at {side}")
        answer = await client.post(
            f"/hub/api/users/{person}/tokens",
            json={"note": "bench"},
            headers={"Authorization": f"token {token}"},
        )
    return answer.raise_for_status().json()["token"]
