"""The desktop's page and JupyterLab's tile, in a real browser."""

from __future__ import annotations

import asyncio
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.chromium import is_complaint

from . import display
from .browser import browser, log_in, painted, picture
from .hub.session_spawner import UID
from .hubside import later, start_session, stop_session

EXPERIMENTS = [
    {"id": "MA-5001", "title": 'Strain in <b>"steel"</b> \u05e9\u05dc\u05d5\u05dd', "instrument": "ID15"},
    {
        "id": "es1200-id19-20260311",
        "title": "Foam under load",
        "instrument": "id19",
        "datasets": [{"id": "foam_0001", "name": "foam <i>0001</i>", "path": "foam/foam_0001"}],
    },
]


@pytest.fixture(scope="module")
def session(site):
    """One session for all pages, with a viewer `vera`."""
    ends = (datetime.now(UTC) + timedelta(hours=7, minutes=42, seconds=30)).isoformat()
    about = {"title": "Steel <i>under</i> load", "experiments": EXPERIMENTS, "ends": ends, "facility": "Demo"}
    about |= {"profile_title": "Diffraction", "plan_title": "4 cores, 16 GB", "portal_url": "/services/visa/"}
    session = start_session(site, "alice", "pages", **about)
    site.person("vera")
    site.share("alice", "pages", "vera")
    yield session
    stop_session(session)


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


@pytest.fixture
async def open_desktop(site, session, chromium):
    """Opens the page as somebody, in a window of some kind; fails when the browser complains of anything."""
    problems: list[str] = []

    async def open_page(name: str = "alice", width: int = 1280, height: int = 800, **window):
        context = await chromium.new_context(viewport={"width": width, "height": height}, **window)
        page = await log_in(context, session, name)
        if name != session.owner:
            await page.goto(f"{session.url}visa/session?token={site.person(name)}")
        page.on("console", lambda message: problems.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.problems = problems
        await page.goto(session.url + "desktop/")
        await painted(page)
        await expect(page.locator("#notice")).to_be_hidden()
        return page

    yield open_page
    assert problems == []


async def test_the_tile_opens_the_desktop_as_a_tab_of_jupyterlab(new_session, chromium):
    session = new_session()
    context = await chromium.new_context(viewport={"width": 1400, "height": 900})
    page = await log_in(context, session)
    await page.goto(session.url)
    assert "/lab" in page.url
    tile = page.locator(".jp-LauncherCard[title='Desktop']")
    await tile.wait_for(timeout=60000)
    assert await tile.locator("img").evaluate("image => image.naturalWidth") > 0, "a real icon"
    assert not any("tigervnc" in p.name().lower() for p in session.processes()), "off until asked for"
    await picture(page, "launcher")
    await tile.click()
    await page.wait_for_selector("iframe")
    frame = await (await page.query_selector("iframe")).content_frame()
    await frame.wait_for_url("**/desktop/")
    await painted(frame)
    await expect(frame.locator("#notice")).to_be_hidden()
    await expect(frame.locator("#lab")).to_be_hidden()
    assert "news" not in (await page.inner_text("body")).lower()
    await asyncio.sleep(1.5)
    await picture(page, "tab")
    await context.close()


async def test_jupyterlab_asks_for_nothing_that_is_not_there(new_session, chromium):
    """No language server is installed here: notebooks and scripts open without asking for one."""
    session = new_session()
    context = await chromium.new_context(viewport={"width": 1400, "height": 900})
    page = await log_in(context, session)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("response", lambda it: problems.append(f"{it.status} {it.url}") if it.status >= 400 else None)
    for tile, opened in (("Python 3", ".jp-NotebookPanel"), ("Python File", ".jp-FileEditor")):
        await page.goto(session.url + "lab?reset")
        await page.locator(".jp-LauncherCard", has_text=tile).first.click(timeout=60000)
        await expect(page.locator(f"{opened} .cm-content").first).to_be_visible(timeout=30000)
        # Longer than an opened file's own requests take: one that fails late must be caught.
        await asyncio.sleep(1)
    assert problems == []
    await context.close()


def test_the_session_tells_of_the_chosen_datasets(session, site):
    """The owner with their place on disk, a member by name."""
    told = session.get("visa/session").json()["experiments"]
    assert told[0]["datasets"] == []
    assert told[1]["datasets"] == [{"id": "foam_0001", "name": "foam <i>0001</i>", "path": "/foam/foam_0001"}]
    viewers = session.get("visa/session", site.person("vera")).json()["experiments"][1]
    assert viewers["datasets"] == [{"id": "foam_0001", "name": "foam <i>0001</i>"}]
    assert "raw" not in viewers


WINDOWS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"width": 390, "height": 844, "has_touch": True, "is_mobile": True},
}


async def bring_out_toolbar(page):
    """And keep it: it tucks away 3.5 s after the connection, but not while the mouse is on it."""
    await page.hover("#handle")
    if await page.locator("#bar.open").count() == 0:
        await page.click("#handle")


@pytest.mark.parametrize("name", WINDOWS)
async def test_the_page_shows_what_session_it_is(open_desktop, name):
    page = await open_desktop(**WINDOWS[name])
    await expect(page.locator("#time-words")).to_have_text(re.compile("7 h (42|41|40) min left"))
    await bring_out_toolbar(page)
    await picture(page, name)
    await page.click("#about")
    panel = page.locator("#about-panel")
    await expect(panel).to_contain_text("Steel <i>under</i> load")
    await expect(panel).to_contain_text('Strain in <b>"steel"</b>')
    await expect(panel).to_contain_text("/experiments/es1200-id19-20260311")
    await expect(panel.locator(".datasets")).to_have_text(["foam <i>0001</i>"])
    await picture(page, f"{name}-about")
    await page.click("#clipboard")
    await picture(page, f"{name}-clipboard")
    for selector in ("#bar", ".panel:not([hidden])"):
        box = await page.locator(selector).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]
    for button in await page.query_selector_all("#tools > :visible"):
        box = await button.bounding_box()
        assert box["y"] >= 0, await button.inner_text()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1280, 1440, 1920])
async def test_a_title_is_read_in_the_toolbar(open_desktop, width):
    page = await open_desktop(width=width, height=900)
    await page.evaluate("document.getElementById('bar').classList.add('open')")
    cut = await page.evaluate("""() => {
      const title = document.querySelector(".name .title");
      title.textContent = "Pore network of aluminium foams under load";
      return title.scrollWidth - title.clientWidth;
    }""")
    assert cut <= 0
    box = await page.locator("#bar").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


async def test_the_toolbar_tucks_away_and_comes_back_by_keyboard(open_desktop):
    page = await open_desktop()
    bar = page.locator("#bar")
    await expect(bar).not_to_have_class("open", timeout=8000)
    await picture(page, "tucked")
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    await expect(bar).to_have_class("open")
    assert await page.evaluate("document.activeElement.id") == "about"
    await page.keyboard.press("Enter")
    await expect(page.locator("#about-panel")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#about-panel")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(bar).not_to_have_class("open")
    assert await page.evaluate("document.activeElement.tagName") == "CANVAS"


async def test_the_whole_toolbar_is_to_be_seen_at_every_width(open_desktop):
    page = await open_desktop()
    last, tools = page.locator("#lab"), page.locator(".tools")
    for width in (720, 1024, 1280, 1366, 1440, 1920):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.keyboard.press("Control+Alt+Shift+KeyM")
        await expect(last).to_be_in_viewport(ratio=1)
        box, bar = await last.bounding_box(), await tools.bounding_box()
        assert box["x"] + box["width"] <= bar["x"] + bar["width"], width
        shown, whole = await page.locator(".name .title").evaluate("e => [e.clientWidth, e.scrollWidth]")
        assert shown >= min(whole, 60), width


async def test_keys_mouse_and_layout_reach_the_desktop(open_desktop, session):
    page = await open_desktop()
    await page.mouse.move(640, 400)
    await asyncio.sleep(0.5)
    x, y = await later(display.pointer, session)
    assert abs(x - 960) < 5 and abs(y - 540) < 5, "the middle of the window is the middle of the screen"
    keys = await later(display.Keys, session)
    try:
        await page.locator("#screen canvas").focus()
        await page.keyboard.type("visa")
        await asyncio.sleep(0.5)
        assert keys.letters() == "visa"
    finally:
        keys.close()
    await bring_out_toolbar(page)
    await page.select_option("#keyboard", "fr")
    for _ in range(40):
        if "layout:     fr" in await later(display.run, session, "setxkbmap", "-query"):
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the layout did not change")
    assert session.get("visa/session").json()["desktop"]["keyboard"] == "fr"
    await page.select_option("#keyboard", "us")


def test_a_layout_that_is_not_offered_is_refused(session):
    for body in ({"keyboard": "us -option x"}, {"keyboard": 1}, {}, [], {"keyboard": "us", "more": 1}):
        answer = session.get("desktop/keyboard", method="POST", json=body)
        assert answer.status_code == 400, body
        assert answer.json()["message"].startswith("keyboard: ")


def clipboard(env: dict, text: str | None = None) -> str:
    """Read the desktop's clipboard, or put a text into it."""
    command = ["xclip", "-selection", "clipboard", "-o" if text is None else "-i"]
    env = env | {"PATH": "/usr/bin:/bin", "HOME": "/"}
    if text is not None:  # xclip stays to serve it, so nothing waits for the end of its output
        subprocess.run(command, env=env, user=UID, input=text.encode(), check=True)
        return text
    return subprocess.run(command, env=env, user=UID, capture_output=True).stdout.decode()


async def test_the_clipboard_goes_both_ways_through_the_box(open_desktop, session):
    page = await open_desktop()
    await bring_out_toolbar(page)
    await page.click("#clipboard")
    await page.fill("#clipboard-text", "from the computer: \u00e9\u2192\u05d0")
    env = await later(display.x_environment, session)
    for _ in range(50):
        if await later(clipboard, env) == "from the computer: \u00e9\u2192\u05d0":
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(await later(clipboard, env))
    text = "from the desktop: \u00e9\u2192\u05d0"
    await later(clipboard, env, text)
    await expect(page.locator("#clipboard-text")).to_have_value(text)


async def test_resizing_the_desktop_to_the_window(open_desktop, session):
    page = await open_desktop()
    await bring_out_toolbar(page)
    await page.select_option("#size", "resize")
    for _ in range(50):
        if await later(display.size, session) == "1280x800":
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(await later(display.size, session))
    await page.select_option("#size", "same")
    await later(display.run, session, "xrandr", "-s", "1920x1080")
    # As functions: the page's own policy forbids to evaluate a text.
    width = "() => document.querySelector('#screen canvas').getBoundingClientRect().width"
    await page.wait_for_function(width + " === 1920")
    await page.select_option("#size", "fit")
    await page.wait_for_function(width + " === 1280")


async def test_a_viewers_page_is_for_watching(open_desktop):
    page = await open_desktop("vera")
    await expect(page.locator(".badge")).to_have_text("Watching")
    for missing in ("#keyboard", "#clipboard", "#cad", "#lab", "#size option[value=resize]"):
        assert await page.locator(missing).count() == 0, missing
    await picture(page, "viewer")


async def test_a_lost_connection_is_said_in_words_and_comes_back(open_desktop, session):
    page = await open_desktop()
    (await later(display.vnc_server, session)).kill()
    await expect(page.locator("#notice")).to_be_visible()
    words = await page.inner_text("#notice-words")
    assert "again" in words
    await picture(page, "lost")
    await expect(page.locator("#notice")).to_be_hidden(timeout=20000)
    await painted(page)


async def test_a_session_that_stands_still_is_said_in_words_and_goes_on(site, chromium):
    """As one that a cluster suspended: its connections stay, and nothing comes by them."""
    session = await later(start_session, site, "alice", "standsstill")
    context = await chromium.new_context(viewport={"width": 1000, "height": 700})
    page = await log_in(context, session)
    await page.clock.install()
    await page.goto(session.url + "desktop/")
    await painted(page)
    processes = session.processes()
    try:
        for process in processes:
            process.suspend()
        await page.clock.fast_forward(61000)
        words = page.locator("#notice-words")
        await expect(words).to_have_text("This session does not answer at the moment.", timeout=40000)
        await picture(page, "stands-still")
    finally:
        for process in processes:
            process.resume()
    await page.clock.fast_forward(6000)
    await expect(page.locator("#notice")).to_be_hidden(timeout=20000)
    await later(stop_session, session)
    await context.close()


async def test_a_session_that_was_stopped_is_said_in_words(site, chromium):
    session = await later(start_session, site, "alice", "tobestopped")
    context = await chromium.new_context(viewport={"width": 1000, "height": 700})
    page = await log_in(context, session)
    await page.goto(session.url + "desktop/")
    await painted(page)
    await later(stop_session, session)
    await expect(page.locator("#notice-words")).to_have_text("This session is not running.", timeout=20000)
    await picture(page, "stopped")
    await context.close()


def test_the_pages_policy(session):
    answer = session.get("desktop/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "<style" not in answer.text and "style=" not in answer.text
    assert answer.text.count("<script") == 1
    script = answer.text.split('<script type="module" src="')[1].split('"')[0]
    files = session.get(script.removeprefix(session.path), token="")
    assert files.status_code == 200
    assert "max-age=31536000" in files.headers["Cache-Control"]
    assert session.get("desktop/static/..%2fmanifest.json").status_code == 404
