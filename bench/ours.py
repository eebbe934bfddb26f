"""Our side: the demo, started on ports and a run folder of its own, or a site that runs already."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import yaml

from demo import machines, software
from demo.processes import die_with_parent
from images.build import main as build_images

from .hub import BenchFailed, Hub

ROOT = Path(__file__).resolve().parent.parent
PORT = 18800
#: The plan that both sides are measured with, of profiles/general.yaml.
PROFILE, PLAN = "general", "medium"
#: The same plan once more, with containers that wait for it.
WAITING_PLAN = "waiting"


async def hub_of(site_file: Path) -> Hub:
    """The site of a site.json, as a scientist on the team of an experiment that has data.

    Raises BenchFailed when there is no such account.
    """
    site = json.loads(site_file.read_text())
    hub = Hub(
        kind="ours",
        url=site["url"],
        user="",
        password="",
        token="",
        # By its name: what a container's labels say was settled before it waited for anybody.
        container_filter="-{user}-{name}-",
        engine_socket=str(site_file.parent / "podman.sock"),
        portal=f"{site['url'].replace('://', '://visa--service.', 1)}/services/visa/",
        metrics_token=site["admin_token"],
    )
    for name, account in site["accounts"].items():
        one = replace(hub, user=name, password=account["password"], token=account["token"])
        async with one.client() as client:
            model = (await client.get(f"{hub.url}/hub/api/user")).raise_for_status().json()
        team = [e for e in site["experiments"] if f"experiment-{e}" in model["groups"]]
        if account["roles"] == ["scientist"] and team:
            options = {"experiments": team[:1], "profile": PROFILE, "plan": PLAN, "interface": "lab"}
            return replace(one, options=options)
    raise BenchFailed(f"{site_file} has no scientist with an experiment of their own")


def waiting(hub: Hub) -> Hub:
    """The same account with the plan that containers wait for."""
    return replace(hub, kind="warm", options={**hub.options, "plan": WAITING_PLAN})


def write_profiles(folder: Path) -> None:
    """The project's profiles, with the measured plan twice: containers wait for one, and for nothing else."""
    shutil.copytree(ROOT / "profiles", folder, dirs_exist_ok=True)
    for file in folder.glob("*.yaml"):
        profile = yaml.safe_load(file.read_text())
        for plan in profile["plans"].values():
            plan.pop("warm", None)
        if profile["name"] == PROFILE:
            plan = profile["plans"][PLAN]
            profile["plans"][WAITING_PLAN] = {**plan, "title": "The same, waiting", "warm": True}
        file.write_text(yaml.safe_dump(profile, allow_unicode=True, sort_keys=False))


async def limits(hub: Hub) -> tuple[float, int]:
    """Cores and bytes of memory of the measured plan, for the stock side to have the same."""
    async with hub.client() as client:
        answer = (await client.get(f"{hub.url}/hub/api/visa/options")).raise_for_status().json()
    for profile in answer["profiles"]:
        for plan in profile["plans"]:
            if (profile["name"], plan["name"]) == (PROFILE, PLAN):
                return plan["cpus"], plan["memory"]
    raise BenchFailed(f"the site has no plan {PLAN} of profile {PROFILE}")


@asynccontextmanager
async def demo(run: Path) -> AsyncIterator[Path]:
    """Start the demo, wait for its site.json, stop it as Ctrl-C does.

    The image of the profile is made before, and no other while figures are taken.
    """
    if await asyncio.to_thread(build_images, ["base", PROFILE]):
        raise BenchFailed("the images could not be built: see above")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    site_file = run / "site.json"
    site_file.unlink(missing_ok=True)
    write_profiles(run / "profiles")
    with (run / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            env={
                **os.environ,
                "VISA_DEMO_PORT": str(PORT),
                "VISA_DEMO_RUN": str(run),
                "VISA_DEMO_PROFILES": str(run / "profiles"),
                software.VARIABLE: "",
                machines.VARIABLE: "0",
            },
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
            start_new_session=True,
        )
    try:
        while not site_file.exists():
            if process.poll() is not None:
                raise BenchFailed("the demo did not start:\n" + (run / "demo.log").read_text()[-2000:])
            await asyncio.sleep(0.5)
        # Written whole or not at all, and last: the site is up.
        async with httpx.AsyncClient(trust_env=False) as client:
            url = json.loads(site_file.read_text())["url"]
            (await client.get(f"{url}/hub/health")).raise_for_status()
        yield site_file
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, 120)
