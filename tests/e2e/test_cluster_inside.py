"""The cluster from a container session, in a browser: the panel lists a job, and the examples open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from demo.cluster import commands
from demo.cluster.layout import Cluster

from .sharing import EXPERIMENT
from .site import RunningSite, patiently

pytestmark = pytest.mark.timeout(240)


async def test_the_panel_and_the_examples(person, site: RunningSite, picture):
    cluster = Cluster(Path("/var/lib/visa") / site.hub_id / "cluster", 0)
    bob = site.account("bob")
    bob.started("compute", experiments=[EXPERIMENT], profile="general", plan="small", interface="lab")
    try:
        sent = bob.run("compute", "cd; sbatch --parsable --job-name=reconstruct --wrap 'sleep 300'")
        job = sent.stdout.strip()
        assert job.isdigit(), sent.stderr
        for _ in patiently(60):
            if commands.run(cluster, "squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING":
                break
        async with person("bob") as page:
            await page.goto(f"{site.url.replace('://', '://bob.')}/user/bob/compute/lab")
            tile = page.locator(".jp-LauncherCard", has_text="Slurm Dashboard")
            await expect(tile).to_be_visible(timeout=60_000)
            await tile.click()
            await expect(page.get_by_text("reconstruct").first).to_be_visible(timeout=30_000)
            await picture(page, "cluster-panel")

            await page.get_by_role("tab", name=re.compile("Launcher")).first.click()
            await page.locator(".jp-LauncherCard", has_text="Cluster examples").click()
            await expect(page.get_by_role("heading", name="The cluster, from this session")).to_be_visible(
                timeout=30_000
            )
            await picture(page, "cluster-examples")
        commands.run(cluster, "scancel", job)
    finally:
        bob.remove("compute")
