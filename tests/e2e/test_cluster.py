"""Sessions on the demo's cluster: one that starts at once, one that waits in the queue, one with a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from demo.cluster import commands
from demo.cluster.layout import Cluster
from tests.chromium import PAINTED

from .sharing import EXPERIMENT
from .site import Account, RunningSite, patiently


@pytest.fixture(scope="module")
def slurm(site: RunningSite):
    """`slurm("squeue", ...)`: what a command of Slurm's says, as root."""
    cluster = Cluster(Path("/var/lib/visa") / site.hub_id / "cluster", 0)

    def run(*command: str) -> str:
        return commands.run(cluster, *command)

    yield run
    assert run("squeue", "-h") == ""


async def choose_cluster(page: Page) -> str:
    """The first experiment on the list, on the general profile's plan on the cluster; gives its id."""
    await page.get_by_role("link", name="New session").first.click()
    row = page.locator("label.row").first
    await row.click()
    # By the keyboard: what is at the lower edge of the window lies under the bar with Start.
    await expect(page.locator(".reason").first).to_contain_text(re.compile("suits|used it"))
    for button in ("input[name=profile][value=general]", "input[name=plan-general][value=cluster]"):
        await page.locator(button).press("Space")
        await expect(page.locator(button)).to_be_checked()
    return await row.locator("code").inner_text()


def one_session(account: Account) -> str:
    (name,) = account.sessions()
    return name


def file_of(account: Account, name: str, path: Path, method: str = "GET", **body):
    """JupyterLab's own call for a file of the session's."""
    host = account.site.url.replace("://", f"://{account.name}.")
    url = f"{host}/user/{account.name}/{name}/api/contents{path}"
    options = {"json": body} if body else {}
    return httpx.request(method, url, headers=account.headers, timeout=20, trust_env=False, **options)


async def test_a_session_on_the_cluster(person, site: RunningSite, slurm):
    """The desktop is shown; the job is the person's, on the proposal's account; raw is read-only."""
    dawid = site.account("dawid")
    async with person("dawid") as page:
        chosen = await choose_cluster(page)
        await page.locator("#start").click()
        await page.wait_for_url(re.compile(r"dawid\.localhost.*/desktop"), timeout=90_000)
        await page.wait_for_function(PAINTED, timeout=60_000)
        await page.goto(site.url)
        await expect(page.locator("li.tile")).to_contain_text("Cluster")
    name = one_session(dawid)
    proposal, instrument, day = chosen.split("-")
    raw = Path("/data/visitor", proposal, instrument, day, "RAW_DATA")
    assert slurm("squeue", "-h", "-o", "%u %a %T").strip() == f"dawid {proposal} RUNNING"
    text = {"type": "file", "format": "text", "content": "done"}
    listed = file_of(dawid, name, raw)
    assert listed.status_code == 200 and any(it["name"].endswith(".h5") for it in listed.json()["content"])
    assert file_of(dawid, name, raw / "new.txt", "PUT", **text).status_code >= 400
    assert not (raw / "new.txt").exists()

    result = raw.with_name("PROCESSED_DATA") / "result-of-a-job.txt"
    result.unlink(missing_ok=True)
    try:
        assert file_of(dawid, name, result, "PUT", **text).status_code == 201
        uid = int(slurm("squeue", "-h", "-o", "%U"))
        assert result.read_text() == "done" and result.stat().st_uid == uid
        assert result.stat().st_gid == result.parent.stat().st_gid
    finally:
        result.unlink(missing_ok=True)
    dawid.remove(name)


async def test_a_session_that_waits_in_the_queue_and_is_cancelled(person, site: RunningSite, slurm):
    """A full cluster is no error: the page says where it stands, and Cancel takes the job away."""
    chloe = site.account("chloe")
    everything = ("--exclusive", "--nodes=4", "--time=10", "--output=/dev/null", "--chdir=/", "--export=NONE")
    full = slurm("sbatch", "--parsable", "--uid=bob", "--gid=bob", *everything, "--wrap", "sleep 600").strip()
    try:
        for _ in patiently(30):
            if slurm("squeue", "-h", "-o", "%T").strip() == "RUNNING":
                break
        async with person("chloe") as page:
            await choose_cluster(page)
            await expect(page.locator("[data-plan='general/cluster']")).to_have_attribute(
                "data-room", "queue", timeout=30_000
            )
            await page.locator("#start").click()
            await expect(page.get_by_role("heading", name="In the queue")).to_be_visible(timeout=30_000)
            await expect(page.locator("#steps li[data-queued]")).to_contain_text("1st of 1")
            await page.goto(site.url)
            tile = page.locator("li.tile")
            await expect(tile.locator(".state")).to_have_text("In the queue")
            waiting = slurm("squeue", "-h", "-u", "chloe", "-o", "%T").strip()
            assert waiting == "PENDING"
            await tile.get_by_text("Cancel", exact=True).click()
            await page.get_by_role("button", name=re.compile("^Cancel")).last.click()
            await expect(tile.locator(".state")).not_to_have_text("In the queue", timeout=30_000)
        for _ in patiently(30):
            if not slurm("squeue", "-h", "-u", "chloe"):
                break
        assert slurm("squeue", "-h", "-u", "chloe") == ""
        chloe.remove(one_session(chloe))
    finally:
        slurm("scancel", full)
        for _ in patiently(30):
            if not slurm("squeue", "-h"):
                break


def test_a_session_with_a_gpu_of_the_cluster(site: RunningSite, slurm):
    site.wait_for_software("tomography")
    alice = site.account("alice")
    alice.started("gpu", experiments=[EXPERIMENT], profile="tomography", plan="cluster-gpu")
    assert slurm("squeue", "-h", "-o", "%P %N").split() == ["gpu", "n1"]
    assert "gres/gpu:a100=1" in slurm("scontrol", "show", "job", slurm("squeue", "-h", "-o", "%i").strip())
    assert alice.in_session("gpu", "visa/session").json()["gpus"] == 1
    alice.remove("gpu")
