"""The whole main job, as a scientist does it in a browser: from the login to the experiment's files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.chromium import PAINTED

from .site import RunningSite


async def new_session(page: Page) -> None:
    await page.get_by_role("link", name="New session").first.click()
    await page.locator("label.row").first.wait_for()


async def start_first(page: Page) -> str:
    """Two clicks from the list to Start; gives the chosen experiment's id."""
    row = page.locator("label.row").first
    chosen = await row.locator("code").inner_text()
    await row.click()
    await page.locator("#start").click()
    return chosen


async def test_from_login_to_files(person, site: RunningSite, picture):
    """Empty list, two clicks, JupyterLab with a Desktop tile, the desktop in a tab, the tile afterwards."""
    async with person("alice") as page:
        await expect(page.get_by_text("You have no session yet")).to_be_visible()
        await new_session(page)
        await page.locator("label.row").first.click()
        await expect(page.locator(".reason").first).to_contain_text(re.compile("suits|used it"))
        await picture(page, "new-session")
        await page.locator("input[name=interface][value=lab]").check(force=True)
        chosen = await page.locator("label.row code").first.inner_text()
        await page.locator("#start").click()
        await page.wait_for_url(re.compile(r"alice\.localhost.*/lab"), timeout=60_000)
        tile = page.locator(".jp-LauncherCard", has_text="Desktop")
        await expect(tile).to_be_visible(timeout=60_000)
        await expect(tile.locator("img, svg").first).to_be_visible()
        await tile.click()
        frame = page.frame_locator("iframe[src*='/desktop']").first
        await expect(frame.locator("#screen canvas")).to_be_visible(timeout=30_000)
        inner = next(frame for frame in page.frames if "/desktop" in frame.url)
        await inner.wait_for_function(PAINTED, timeout=30_000)

        await page.goto(site.url)
        tile = page.locator("li.tile")
        await expect(tile).to_contain_text(chosen)
        await expect(tile).to_contain_text("Running")
        await expect(tile.get_by_text("Time left")).to_be_visible()
        await picture(page, "my-sessions")

        await tile.get_by_role("link", name="Open desktop").click()
        await page.wait_for_url("**/desktop/**")
        await page.wait_for_function(PAINTED, timeout=30_000)
        await expect(page.get_by_role("link", name="JupyterLab")).to_have_count(1)
    name = next(iter(site.account("alice").sessions()))
    site.account("alice").remove(name)


async def test_desktop_first_and_stop_start_delete(person, site: RunningSite, picture):
    """Interface desktop opens the full-page desktop; the tile stops, starts again and deletes."""
    bob = site.account("bob")
    async with person("bob") as page:
        await new_session(page)
        await page.locator("label.row").first.click()
        await page.locator("input[name=interface][value=desktop]").check(force=True)
        await page.locator("#start").click()
        await page.wait_for_url(re.compile(r"bob\.localhost.*/desktop"), timeout=60_000)
        await page.wait_for_function(PAINTED, timeout=30_000)
        (name,) = bob.sessions()
        await page.goto(site.url)
        tile = page.locator("li.tile")
        for action, state in (("Stop", "stopped"), ("Start again", "running")):
            await tile.get_by_text(action, exact=True).click()
            confirm = page.get_by_role("button", name=re.compile("^Stop"))
            if action == "Stop":
                await confirm.last.click()
            bob.until(name, state)
            await page.goto(site.url)
        await tile.get_by_text("Delete", exact=True).click()
        await page.get_by_role("button", name=re.compile("^Delete")).last.click()
        await expect(page.get_by_text("You have no session yet")).to_be_visible(timeout=30_000)
    assert bob.sessions() == {}
    assert site.of_session("bob", name) == []


@pytest.fixture(scope="module")
def working(site: RunningSite):
    """A session of chloe's on an experiment with data."""
    chloe = site.account("chloe")
    experiment = next(
        entry for entry in catalogue(site) if "chloe" in entry["team"] and Path(entry["raw"]).is_dir()
    )
    chloe.started("data", experiments=[experiment["id"]], profile="general", plan="small")
    yield chloe, "data", experiment
    chloe.remove("data")


def catalogue(site: RunningSite) -> list[dict]:
    import json

    return [json.loads(line) for line in (site.run / "experiments.jsonl").read_text().splitlines()]


def test_data_stand_at_the_facility_s_paths(working):
    chloe, name, experiment = working
    short = f"/experiments/{experiment['id']}"
    same = chloe.run(name, f"readlink -f {short}/raw {short}/processed").stdout.split()
    assert same == [experiment["raw"], experiment["processed"]]
    found = chloe.run(name, f"ls {short}/raw/*.h5").stdout
    assert found.endswith(".h5\n")


@pytest.mark.parametrize("user", [None, "0:0"])
def test_raw_is_read_only_also_for_root(working, user):
    chloe, name, experiment = working
    raw = experiment["raw"]
    for script in (f"touch {raw}/new", f"rm -f {raw}/*.h5", f"mkdir {raw}/new"):
        done = chloe.run(name, script, user)
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr
    assert chloe.run(name, f"mount -o remount,rw {raw}", "0:0").returncode != 0
    assert not (Path(raw) / "new").exists()


def test_processed_lands_on_disk_as_the_account(working, site: RunningSite):
    chloe, name, experiment = working
    uid, gid = map(int, chloe.run(name, "id -u; id -g").stdout.split())
    file = Path(experiment["processed"]) / "result.txt"
    file.unlink(missing_ok=True)
    try:
        chloe.run(name, f"echo done > {file}")
        assert file.read_text() == "done\n"
        assert file.stat().st_uid == uid
        assert file.stat().st_gid == Path(experiment["processed"]).stat().st_gid
        home = chloe.run(name, "echo $HOME; touch ~/mine").stdout.strip()
        assert ((Path(home) / "mine").stat().st_uid, (Path(home) / "mine").stat().st_gid) == (uid, gid)
    finally:
        file.unlink(missing_ok=True)


def test_nothing_of_another_experiment_is_there(working, site: RunningSite):
    chloe, name, experiment = working
    others = [entry["raw"] for entry in catalogue(site)[:40] if entry["id"] != experiment["id"]]
    assert chloe.run(name, "ls -d " + " ".join(others)).stdout == ""
    assert chloe.run(name, "ls $HOME/..").stdout.split() == ["chloe"]


async def test_h5web_opens_the_experiment_s_file(working, person, site: RunningSite, picture):
    """H5Web in JupyterLab shows the master file and what it links to."""
    chloe, name, experiment = working
    master = chloe.run(name, f"ls {experiment['raw']}/*.h5").stdout.split()[0]
    async with person("chloe") as page:
        await page.goto(f"{chloe.sessions()[name]['url']}lab/tree{Path(master).parent}")
        await page.get_by_role("listitem").filter(has_text=Path(master).name).dblclick(timeout=60_000)
        await expect(page.get_by_text(re.compile("^NX (Heatmap|Line|Spectrum)")).first).to_be_visible(
            timeout=30_000
        )
        await expect(page.get_by_role("tree").get_by_role("treeitem").nth(1)).to_be_visible()
        await page.wait_for_timeout(
            1500
        )  # the plot is drawn by the graphics library, out of the page's sight
        await picture(page, "h5web")


async def test_silx_view_opens_the_experiment_s_file_on_the_desktop(working, person, site, picture):
    """silx view paints its window on the session's desktop, with the master file in it."""
    chloe, name, experiment = working
    async with person("chloe") as page:
        await page.goto(f"{chloe.sessions()[name]['url']}desktop/")
        await page.wait_for_function(PAINTED, timeout=30_000)
        display = chloe.run(name, "ls /tmp/.X11-unix | sed s/X/:/ | head -1").stdout.strip()
        assert display
        master = chloe.run(name, f"ls {experiment['raw']}/*.h5").stdout.split()[0]
        find = "find /tmp /run -name '*auth*' -user $(id -u) 2>/dev/null | head -1"
        script = f"XAUTHORITY=$({find}) DISPLAY={display} "
        chloe.run(name, f"{script} setsid silx view {master} >/tmp/silx.log 2>&1 &")
        for _ in range(60):
            titles = chloe.run(
                name, f"{script} xprop -root _NET_CLIENT_LIST; {script} xwininfo -root -tree"
            ).stdout
            if "silx" in titles.lower():
                break
            await page.wait_for_timeout(500)
        assert "silx" in titles.lower(), chloe.run(name, "cat /tmp/silx.log").stdout
        await page.wait_for_timeout(2000)  # for the picture: the window is there, its plot follows
        await picture(page, "desktop")
        assert "Error" not in chloe.run(name, "cat /tmp/silx.log").stdout
