"""The two hubs on one cluster: ours with SlurmBackend, and a stock one with batchspawner's SlurmSpawner."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from demo.cluster.layout import Cluster
from images.engine import BuildFailed, find_engine
from images.unpack import unpack
from visa_spawner.backends.slurm import programs

from .. import small_hub
from ..hub import BenchFailed, Hub
from . import plain_venv, timed
from .cluster import CPUS, PERSON, SEATS

#: Where nodes have our image, unpacked: the demo's place, so that it is there once.
IMAGES = Path("/var/lib/visa/images")
PORTS = {"ours": 23950, "stock": 23960}
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
        "backends": {"slurm": "bench.slurm.timed.TimedBackend"},
        "sections": {
            "VisaSpawner": {"cmd": ["/usr/bin/python3", "-I", str(script)]} if crowd else {},
            "VisaSite": {
                "profiles_dir": str(scratch / "profiles"),
                "catalogue_address": f"file://{scratch}/experiments.yaml",
                "home_roots": [str(Path(PERSON.home).parent)],
                "staging_dir": str(scratch / "staging"),
                "max_sessions": 1000,
            },
            "SlurmBackend": {
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
        },
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
    scratch.mkdir(mode=0o755, parents=True)
    if side == "ours":
        settings, config = our_settings(cluster, scratch, crowd, seats), small_hub.CONFIG
    else:
        settings, config = stock_settings(cluster, crowd), Path(__file__).with_name("stock_config.py")
    environment = {timed.FILE: str(scratch / "times")} | cluster.environment
    options = {"experiments": [EXPERIMENT], "profile": "bench", "plan": plan, "interface": "lab"}
    page = {"page": "", "shows": "a light session"} if plan == "crowd" else {}
    async with small_hub.running(
        side,
        settings | {"port": PORTS[side]},
        scratch,
        person=PERSON.name,
        config=config,
        environment=environment,
    ) as (url, token):
        yield Hub(
            kind=side,
            url=url,
            user=PERSON.name,
            password="",
            token=token,
            options=options if side == "ours" else {},
            **page,
        )
