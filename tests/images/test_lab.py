"""JupyterLab in the real image, behind a real hub, in a real browser: launcher, welcome, H5Web, passport."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re

import h5py
import numpy as np
import pytest
from PIL import Image
from playwright.async_api import TimeoutError, expect

from tests.chromium import NOT_THE_PAGES
from tests.visa_session.browser import browser, log_in, picture
from tests.visa_session.conftest import site  # noqa: F401 - a fixture
from tests.visa_session.hub.session_spawner import UID
from tests.visa_session.hubside import start_session, stop_session, wait_until

ABOUT = {
    "visa_passport": 1,
    "session": "inlab",
    "owner": "alice",
    "facility": "Demo",
    "started": "2026-11-29T19:36:14+00:00",
    "profile": {"name": "general", "title": "General <b>analysis</b>", "revision": "r1"},
    "plan": {"name": "small", "title": "1 core", "backend": "container", "cpus": 1, "memory": 1, "gpus": 0},
    "image": {"recipe": "base", "digest": "sha256:" + "a" * 64, "revision": "b" * 64, "created": "2026"},
    "packages": [
        {"type": "deb", "name": "bash", "version": "5"},
        {"type": "pypi", "name": "h5py", "version": "3"},
    ],
    "experiments": [
        {
            "id": "HG-1",
            "title": "A study",
            "instrument": "id00",
            "datasets": [{"id": "d", "name": "scan_0001"}],
        }
    ],
    "options": {},
}


#: Notes when the launcher's first tile was there, by the page's own clock.
WHEN_TILES_CAME = """new MutationObserver((_, it) => {
    if (!document.querySelector(".jp-LauncherCard")) return;
    window.tilesCame = performance.now();
    it.disconnect();
}).observe(document, { childList: true, subtree: true });"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One experiment as a session finds it: a chosen dataset with its short way, results, the passport."""
    top = tmp_path_factory.mktemp("experiments")
    top.chmod(0o755)
    for above in top.parents[:2]:
        above.chmod(0o755)
    (top / "HG-1/raw/scan/scan_0001").mkdir(parents=True)
    (top / "HG-1/datasets").mkdir()
    (top / "HG-1/datasets/scan_0001").symlink_to("../raw/scan/scan_0001")
    (top / "HG-1/processed").mkdir()
    os.chown(top / "HG-1/processed", UID, UID)
    for name in ("scan_0001.h5", "scan_0001.nxs"):
        with h5py.File(top / "HG-1/raw/scan/scan_0001" / name, "w") as file:
            file["measured"] = np.add.outer(np.arange(40), np.arange(60))
    with h5py.File(top / "HG-1/processed/mean.h5", "w") as file:
        file["measured"] = np.arange(60)
    (top / "passport.json").write_text(json.dumps(ABOUT))
    return top


@pytest.fixture(scope="module")
def session(site, image, data):  # noqa: F811 - the fixture above
    experiment = {"id": "HG-1", "title": "A study", "processed": "/experiments/HG-1/processed"}
    experiment |= {"raw": "/experiments/HG-1/raw"}
    experiment["datasets"] = [{"id": "d", "name": "scan_0001", "path": "scan/scan_0001"}]
    mounts = [f"{data}:/experiments:ro", f"{data}/HG-1/processed:/experiments/HG-1/processed"]
    about = {"experiments": [experiment], "applications": ["silx-view", "silx-compare"]}
    about |= {
        "passport_in_processed": True,
        "profile_title": "General analysis",
        "profile_help": "Begin here.",
    }
    session = start_session(site, "alice", "inlab", container={"image": image, "mounts": mounts}, **about)
    yield session
    stop_session(session)


@pytest.fixture
async def lab(session):
    """JupyterLab's page of the owner, in the launcher."""
    async with browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1400, "height": 1000})
        page = await log_in(context, session)
        cut = []
        page.on(
            "requestfailed", lambda one: cut.append(one) if NOT_THE_PAGES in (one.failure or "") else None
        )
        tile = page.locator(".jp-LauncherCard", has_text="Desktop")
        await page.goto(session.url + "lab?reset")
        try:
            await tile.wait_for(timeout=60000)
        except TimeoutError:
            assert cut, "it did not come, and no container of other tests came or went meanwhile"
            await page.goto(session.url + "lab?reset")
            await tile.wait_for(timeout=60000)
        yield page
        await context.close()


def tile(page, words: str):
    return page.locator(".jp-LauncherCard", has_text=words).first


async def test_the_launcher_has_what_the_session_brings(lab):
    for words in ("Desktop", "Welcome", "silx view", "silx compare", "This session"):
        await expect(tile(lab, words)).to_be_visible()
    await expect(tile(lab, "Python")).to_be_visible()
    await expect(tile(lab, "Welcome").locator("img")).to_be_visible()
    for words in ("silx view", "silx compare"):
        for _ in range(40):
            shot = Image.open(io.BytesIO(await tile(lab, words).locator("svg").screenshot())).convert("RGB")
            if len(shot.getcolors(100_000)) > 100:
                break
            await asyncio.sleep(0.25)  # between two looks, while the picture comes
        else:
            raise AssertionError(f"the icon of {words} is not to be seen")
    await picture(lab, "image-launcher")


async def test_the_launcher_needs_one_script_of_jupyterlabs_and_the_rest_comes_later(lab, session):
    """The hub of these tests has no such script: the page then takes it from the session."""
    await lab.goto("about:blank")  # what the page before still asks for does not count
    asked, answered, drawn = [], {}, asyncio.Event()
    lab.on("request", lambda it: asked.append(it.url.partition("?")[0]))
    lab.on("response", lambda it: answered.setdefault(it.url, it))

    async def hold(route):
        await drawn.wait()
        await route.continue_()

    await lab.add_init_script(WHEN_TILES_CAME)
    await lab.route("**/lab/extensions/jupyterlab-h5web/**", hold)
    await lab.goto(session.url + "lab?reset")
    await expect(tile(lab, "Desktop")).to_be_visible(timeout=30000)
    scripts = [url for url in asked if url.endswith(".js")]
    hubs, own = [url for url in scripts if "/visa/boot/" in url]
    assert "/hub/api/" in hubs
    assert answered[hubs].status == 404
    assert answered[own].headers["content-encoding"] == "gzip"
    assert "immutable" in answered[own].headers["cache-control"]
    assert [url for url in scripts if "/static/lab/" in url] == []
    assert [url for url in scripts if "slurm" in url] == [], "no cluster is reached here"
    begin = [url for url in scripts if "/jupyterlab-h5web/" not in url]  # which may be asked for by now
    assert len(begin) <= 21, begin
    async with lab.expect_console_message(lambda it: "jupyterlab-h5web is activated" in it.text):
        drawn.set()
    # The browser tells of a request once it is over.
    seconds, began = await lab.evaluate("""() => [window.tilesCame, performance.getEntriesByType("resource")
        .filter((it) => it.name.includes("jupyterlab-h5web")).map((it) => it.startTime)]""")
    assert began and min(began) >= seconds
    await lab.get_by_role("menuitem", name="File", exact=True).click()
    await lab.get_by_role("menuitem", name="Open from Path").click()
    await lab.locator(".jp-Dialog input").fill("experiments/HG-1/raw/scan/scan_0001/scan_0001.h5")
    await lab.keyboard.press("Enter")
    await expect(lab.get_by_role("treeitem", name=re.compile("measured"))).to_be_visible(timeout=30000)


async def test_the_launcher_comes_before_the_layout_is_saved(lab, session):
    """JupyterLab alone would wait for the answer to that, which never comes here."""

    async def never(route):
        if route.request.method != "PUT":
            await route.continue_()

    await lab.route("**/lab/api/workspaces/*", never)
    await lab.goto(session.url + "lab")
    await expect(tile(lab, "Desktop")).to_be_visible(timeout=30000)
    await lab.unroute_all(behavior="ignoreErrors")


async def test_there_is_one_launcher_and_none_beside_a_file_that_was_asked_for(lab, session):
    kept = re.compile("/lab/api/workspaces/")
    async with lab.expect_response(lambda it: it.request.method == "PUT" and kept.search(it.url)):
        await lab.goto(f"{session.url}lab?reset")
    await expect(lab.locator(".jp-Launcher")).to_have_count(1)
    await lab.goto(f"{session.url}lab/tree/experiments/passport.json")
    await expect(lab.locator("#jp-main-dock-panel").get_by_role("tab", name="passport.json")).to_be_visible(
        timeout=30000
    )
    await expect(lab.locator(".jp-Launcher")).to_have_count(0)


async def test_the_welcome_notebook_opens_beside_the_results_and_runs(lab, data):
    # Both in one: what comes late draws the launcher anew, and the focus goes with the old tile.
    await tile(lab, "Welcome").press("Enter")
    panel = lab.locator(".jp-NotebookPanel")
    await expect(panel.get_by_role("heading", name="Welcome", exact=True)).to_be_visible(timeout=30000)
    assert (data / "HG-1/processed/welcome.ipynb").stat().st_uid == UID
    await lab.get_by_role("menuitem", name="Run", exact=True).click()
    await lab.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    await expect(panel.get_by_role("heading", name="General analysis")).to_be_visible(timeout=60000)
    await expect(panel).to_contain_text("Begin here.")
    await expect(panel).to_contain_text("chosen: /experiments/HG-1/datasets/scan_0001")
    await expect(panel.locator(".jp-OutputArea img").first).to_be_visible(timeout=60000)
    await panel.locator(".jp-OutputArea img").first.scroll_into_view_if_needed()
    await picture(lab, "image-welcome")


@pytest.mark.parametrize("name", ["scan_0001.h5", "scan_0001.nxs"])
async def test_a_double_click_opens_data_in_h5web(lab, session, name):
    await lab.goto(f"{session.url}lab/tree/experiments/HG-1/raw/scan/scan_0001?reset")
    await lab.get_by_role("listitem").filter(has_text=name).dblclick(timeout=60000)
    await expect(lab.get_by_role("treeitem", name=re.compile("measured"))).to_be_visible(timeout=30000)
    assert await lab.locator(".jp-Dialog").count() == 0


async def test_a_double_click_before_h5web_is_there_waits_for_it(lab, session):
    """The page is usable before its largest extension has come; a file that only that knows is no text."""
    clicked = asyncio.Event()

    async def hold(route):
        await clicked.wait()
        await route.continue_()

    await lab.goto("about:blank")
    await lab.route("**/lab/extensions/jupyterlab-h5web/**", hold)
    await lab.goto(session.url + "lab?reset")
    file = lab.get_by_role("listitem").filter(has_text="mean.h5")
    async with lab.expect_request("**/lab/extensions/jupyterlab-h5web/**"):
        await file.dblclick(timeout=60000)
    await file.dblclick()  # as anybody who sees nothing happen
    # What knows no better has opened it, or said that it cannot, by the time that such a file is open.
    await tile(lab, "Python").wait_for()
    assert await lab.locator(".jp-FileEditor, .jp-Dialog").count() == 0
    clicked.set()
    await expect(lab.get_by_role("treeitem", name="measured")).to_be_visible(timeout=30000)
    tabs = lab.locator("#jp-main-dock-panel").get_by_role("tab", name="mean.h5")
    await expect(tabs).to_have_count(1)
    assert await lab.locator(".jp-FileEditor, .jp-Dialog").count() == 0


def keeps(request, front: str, behind: str) -> bool:
    """Whether it saves a layout of two tabs, by the beginnings of their names."""
    if request.method != "PUT" or "/lab/api/workspaces/" not in request.url:
        return False
    left = json.loads(request.post_data)["data"].get("layout-restorer:data") or {}
    dock = (left.get("main") or {}).get("dock") or {}
    names = list(dock.get("widgets", []))
    return (
        len(names) == 2 and names.pop(dock["currentIndex"]).startswith(front) and names[0].startswith(behind)
    )


async def test_what_late_extensions_opened_on_a_fresh_page_is_there_again(session, image, data, site):  # noqa: F811
    mounts = [f"{data}:/experiments:ro"]
    other = start_session(
        site, "alice", "reached", {"VISA_CLUSTER": "1"}, container={"image": image, "mounts": mounts}
    )
    try:
        async with browser() as chromium:
            page = await log_in(await chromium.new_context(viewport={"width": 1400, "height": 1000}), other)
            wrong = []
            page.on("pageerror", lambda it: wrong.append(str(it)))
            page.on("console", lambda it: wrong.append(it.text) if it.type == "error" else None)
            async with page.expect_console_message(
                lambda it: "jupyterlab-h5web is activated" in it.text, timeout=60000
            ):
                await page.goto(other.url + "lab?reset")
            dashboard, opened = tile(page, "Slurm Dashboard"), page.get_by_role("treeitem", name="measured")
            await dashboard.click(timeout=60000)
            await page.get_by_role("menuitem", name="File", exact=True).click()
            await page.get_by_role("menuitem", name="Open from Path").click()
            await page.locator(".jp-Dialog input").fill("experiments/HG-1/raw/scan/scan_0001/scan_0001.h5")
            h5web, slurm = "visa-h5web:", "slurm:slurm"
            async with page.expect_request_finished(lambda it: keeps(it, h5web, slurm), timeout=60000):
                await page.keyboard.press("Enter")
            await expect(opened).to_be_visible(timeout=60000)
            assert [one for one in wrong if "restore()" in one] == []

            await page.goto(other.url + "lab")
            await expect(opened).to_be_visible(timeout=60000)
            tabs = page.locator("#jp-main-dock-panel .lm-DockPanel-tabBar .lm-TabBar-tab")
            await expect(tabs).to_have_count(2)
            async with page.expect_request_finished(lambda it: keeps(it, slurm, h5web), timeout=60000):
                await tabs.filter(has_text="Slurm Dashboard").click()
            await page.goto(other.url + "lab")  # what came back is kept as well
            await tabs.filter(has_text="scan_0001.h5").click(timeout=60000)
            await expect(opened).to_be_visible(timeout=60000)
            await expect(tabs).to_have_count(2)
            assert [one for one in wrong if "restore()" in one] == []
    finally:
        stop_session(other)


async def test_this_session_says_what_it_was_started_with(lab, session):
    await tile(lab, "This session").focus()
    await lab.keyboard.press("Enter")
    frame = lab.frame_locator("iframe[src*='visa/passport']")
    await expect(frame.get_by_text("General <b>analysis</b>")).to_be_visible()
    await expect(frame.get_by_text("scan_0001")).to_be_visible()
    await frame.get_by_text("2 packages of the image").click()
    await expect(frame.get_by_role("cell", name="h5py")).to_be_visible()
    await picture(lab, "image-passport")
    await lab.set_viewport_size({"width": 390, "height": 844})
    await lab.goto(session.url + "visa/passport")
    assert await lab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await picture(lab, "image-passport-phone")


def test_the_passport_as_a_file(session, site):  # noqa: F811
    answer = session.get("visa/passport.json")
    assert answer.json() == ABOUT
    assert answer.headers["Content-Type"] == "application/json"
    assert "default-src 'none'" in session.get("visa/passport").headers["Content-Security-Policy"]
    token = site.person("vera")
    site.share("alice", "inlab", "vera")
    wait_until(lambda: session.get("visa/session", token).status_code == 200, 5)
    for path in ("visa/passport", "visa/passport.json"):
        assert session.get(path, token).status_code == 403


def test_at_its_end_the_passport_lies_beside_the_results(session, data):
    """The last test of this file: it stops the session."""
    stop_session(session)
    (left,) = (data / "HG-1/processed/visa-passports").iterdir()
    assert left.name == "20261129T193614Z-inlab.json"
    assert json.loads(left.read_text()) == ABOUT
    assert left.stat().st_uid == UID
