"""The two hubs on one cluster: ours with SlurmBackend, and a stock one with batchspawner's SlurmSpawner."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import yaml

from demo import node
from demo.cluster.layout import Cluster
from demo.processes import die_with_parent
from images.engine import BuildFailed, find_engine
from images.unpack import unpack
from visa_spawner.backends.slurm import programs

from ..hub import BenchFailed, Hub
from . import plain_venv, timed
from .cluster import CPUS, PERSON, ROOT, SEATS

#: Where nodes have our image, unpacked: the demo's place, so that it is there once.
IMAGES = Path("/var/lib/visa/images")
PORTS = {"ours": 23950, "stock": 23960}
#: Seconds until a hub answers.
PATIENCE = 60
EXPERIMENT = "A-1"
#: Cores and memory of a session, of one in a crowd, and of one that takes a node.
PLANS = {"usual": (2, 4096), "crowd": (1, 512), "whole": (CPUS, 4096)}


def light(cluster: Cluster) -> Path:
    """The light session, where every account can read it."""
    place = cluster.folder / "light/light.py"
    place.parent.mkdir(mode=0o755, exist_ok=True)
    shutil.copy(Path(__file__).with_name("light.py"), place)
    place.chmod(0o755)
    return place


def launcher(cluster: Cluster) -> Path:
    """Launcher and node program, as an operator installs them; gives the configuration's place."""
    folder = cluster.folder / "programs"
    configuration = folder / "slurm.json"
    programs.write(folder, str(configuration))
    folder.chmod(0o755)
    (folder / "spool").mkdir(exist_ok=True)
    (folder / "spool").chmod(0o1777)
    settings = programs.EXAMPLE | {
        "slurm_conf": str(cluster.slurm_conf),
        "node_program": str(folder / programs.NODE),
        "spool": f"{folder}/spool/{{uid}}",
        "seats_user": SEATS.name,
    }
    configuration.write_text(json.dumps(settings))
    configuration.chmod(0o644)
    return configuration


def furnish(cluster: Cluster, scratch: Path) -> None:
    """One profile and one experiment with raw data."""
    raw = cluster.folder / "data/RAW_DATA"
    raw.mkdir(parents=True, exist_ok=True)
    (scratch / "profiles").mkdir()
    plans = {
        name: {"title": name, "backend": "slurm", "cpus": cpus, "memory": f"{memory}M", "hours": 1}
        | ({"warm": True} if name == "whole" else {})
        for name, (cpus, memory) in PLANS.items()
    }
    profile = {"name": "bench", "title": "Bench", "image": "base", "plans": plans}
    profile |= {"lifetime": {"default_hours": 1, "max_hours": 4, "idle_hours": 3}}
    (scratch / "profiles/bench.yaml").write_text(yaml.safe_dump(profile))
    experiment = {"id": EXPERIMENT, "title": "Bench", "proposal": EXPERIMENT, "instrument": "id19"}
    experiment |= {"team": [PERSON.name], "start": "2026-05-01", "end": "2026-05-04"}
    experiment |= {"raw": str(raw), "datasets": []}
    (scratch / "experiments.yaml").write_text(yaml.safe_dump([experiment]))


def our_settings(cluster: Cluster, scratch: Path, crowd: bool, seats: int) -> dict:
    """What our hub is told; raises BenchFailed without an image."""
    furnish(cluster, scratch)
    with open(os.devnull, "wb", buffering=0) as log:
        try:
            unpack(find_engine(["podman"], log), "base", IMAGES)
        except BuildFailed as error:
            raise BenchFailed(str(error)) from error
    script = light(cluster)
    account = {"username": PERSON.name, "home": PERSON.home, "uid": PERSON.uid, "gid": PERSON.gid}
    return {
        "account": account | {"gids": [], "roles": ["scientist"], "teams": [EXPERIMENT]},
        "cmd": ["/usr/bin/python3", "-I", str(script)] if crowd else [],
        "site": {
            "profiles_dir": str(scratch / "profiles"),
            "catalogue_address": f"file://{scratch}/experiments.yaml",
            "home_roots": [str(Path(PERSON.home).parent)],
            "staging_dir": str(scratch / "staging"),
            "max_sessions": 1000,
        },
        "slurm": {
            "hub_id": "bench",
            "slurm_conf": str(cluster.slurm_conf),
            "launcher": [str(launcher(cluster).parent / programs.LAUNCH)],
            "runtime": "bubblewrap",
            "image_template": f"{IMAGES}/{{recipe}}",
            "gpu_common": [],
            "partition": "main",
            "seats": seats,
            "seats_user": SEATS.name,
        }
        | ({"extra_binds": {str(script.parent): "ro"}} if crowd else {}),
    }


def stock_settings(cluster: Cluster, crowd: bool) -> dict:
    """What the stock hub is told."""
    cpus, memory = PLANS["crowd" if crowd else "usual"]
    venv = plain_venv.ensure()
    return {
        "venv": str(venv),
        "cmd": [str(light(cluster) if crowd else venv / "bin/jupyterhub-singleuser")],
        "asked": {"partition": "main", "nprocs": str(cpus), "memory": f"{memory}M", "runtime": "60"},
    }


@asynccontextmanager
async def hub(
    side: str, cluster: Cluster, scratch: Path, plan: str = "usual", seats: int = 0
) -> AsyncIterator[Hub]:
    """One side's hub with its proxy, whose sessions are of a plan; logs and database in `scratch`, and on our
    side `times`."""
    crowd = plan == "crowd"
    node.install()
    scratch.mkdir(mode=0o755, parents=True)
    path = f"{Path(sys.executable).parent}:{node.node().parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    if side == "ours":
        settings = our_settings(cluster, scratch, crowd, seats)
    else:
        settings = stock_settings(cluster, crowd)
    token, url = secrets.token_hex(32), f"http://127.0.0.1:{PORTS[side]}"
    settings |= {"port": PORTS[side], "token": token}
    environment = {
        "PATH": path,
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
        "BENCH_SETTINGS": json.dumps(settings),
        timed.FILE: str(scratch / "times"),
    } | cluster.environment
    config = Path(__file__).with_name(f"{side}_config.py")
    processes: list[subprocess.Popen] = []
    try:
        for name, command in (
            ("proxy", _proxy(PORTS[side])),
            ("hub", [sys.executable, "-m", "jupyterhub", "-f", str(config)]),
        ):
            with (scratch / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=scratch,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(die_with_parent, signal.SIGKILL),
                )
            processes.append(process)
        yield await _hub_of(side, url, token, process, plan)
    except BenchFailed as error:
        if side in str(error):
            error.add_note((scratch / "hub.log").read_text(errors="replace")[-3000:])
        raise
    finally:
        for process in processes:
            # What the hub started is cancelled with all other jobs, sooner than it would by itself.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _proxy(port: int) -> list[str]:
    """The proxy's command; the hub's own would outlive a hub that is killed."""
    return [
        *node.proxy(),
        *("--ip", "127.0.0.1", "--port", str(port), "--log-level", "warn"),
        *("--api-ip", "127.0.0.1", "--api-port", str(port + 2)),
        *("--default-target", f"http://127.0.0.1:{port + 1}"),
    ]


async def _hub_of(side: str, url: str, token: str, process: subprocess.Popen, plan: str) -> Hub:
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
        form = {"username": PERSON.name, "password": "x", "_xsrf": client.cookies["_xsrf"]}
        if (await client.post("/hub/login", data=form)).status_code != 302:
            raise BenchFailed(f"nobody can log in at {side}")
        answer = await client.post(
            f"/hub/api/users/{PERSON.name}/tokens",
            json={"note": "bench"},
            headers={"Authorization": f"token {token}"},
        )
    options = {"experiments": [EXPERIMENT], "profile": "bench", "plan": plan, "interface": "lab"}
    page = {"page": "", "shows": "a light session"} if plan == "crowd" else {}
    return Hub(
        kind=side,
        url=url,
        user=PERSON.name,
        password="",
        token=answer.raise_for_status().json()["token"],
        options=options if side == "ours" else {},
        **page,
    )
