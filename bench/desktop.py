"""From a click on the Desktop tile to the first painted frame, in a real browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserContext, Frame, Page, async_playwright

from tests.chromium import CHROMIUM, FLAGS

from .hub import BenchFailed, Session

PROBE = Path(__file__).with_name("probe.js").read_text()

#: A page is at rest when nothing more was loaded for half a second. Not "networkidle": a session's page
#: keeps a stream of news open for as long as it lives.
AT_REST = """() => {
    const ends = performance.getEntriesByType("resource").map((loaded) => loaded.responseEnd);
    return document.readyState === "complete" && performance.now() - Math.max(0, ...ends) > 500;
}"""

#: A desktop is complete when its picture has not changed for so long, in milliseconds.
STILL = 2000


@dataclass(frozen=True)
class Painted:
    """Seconds after the click: the first frame with anything on it, and the last change before rest."""

    first: float
    settled: float


@asynccontextmanager
async def browser() -> AsyncIterator[BrowserContext]:
    """A Chromium of its own, with the probe in every page."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await chromium.new_context(viewport={"width": 1600, "height": 900}, locale="en-GB")
        await context.add_init_script(PROBE)
        yield context
        await chromium.close()


async def log_in(context: BrowserContext, url: str, account: str, password: str) -> None:
    """Log in as a person does: at the hub's own form, or at the identity provider behind its button."""
    page = await context.new_page()
    await page.goto(f"{url}/hub/login?next=%2Fhub%2Fhome")
    secret = page.locator("input[type=password]")
    button = page.get_by_role("link", name="Log in").or_(page.get_by_role("button", name="Log in"))
    if not await secret.count():
        await button.first.click()
        await secret.wait_for()
    await page.locator("form input:not([type=password]):not([type=hidden])").first.fill(account)
    await secret.fill(password)
    await page.locator("form [type=submit]").first.click()
    await page.wait_for_url(lambda address: address.startswith(url) and "login" not in address)
    await page.close()


async def open_lab(context: BrowserContext, session: Session) -> Page:
    """JupyterLab with its launcher, loaded and at rest."""
    page = await context.new_page()
    await page.goto(f"{session.url}lab?reset")
    tile = page.locator(".jp-LauncherCard", has_text="Desktop")
    try:
        await tile.first.wait_for(timeout=60_000)
    except Exception as error:
        raise BenchFailed(f"no Desktop tile at {page.url}: {error}") from error
    await page.wait_for_function(AT_REST)
    return page


async def click_to_paint(context: BrowserContext, page: Page) -> Painted:
    """Click the tile and watch every page and frame until a desktop is painted and at rest."""
    await page.locator(".jp-LauncherCard", has_text="Desktop").first.click()
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        clicked = (await page.evaluate("window.__bench"))["clicked"]
        for frame in [f for p in context.pages for f in p.frames]:
            seen = await _seen(frame)
            if clicked and seen.get("painted") and seen["now"] - seen["changed"] > STILL:
                return Painted((seen["painted"] - clicked) / 1000, (seen["changed"] - clicked) / 1000)
        await asyncio.sleep(0.1)
    raise BenchFailed("no desktop was painted within 90 s of the click")


async def _seen(frame: Frame) -> dict:
    script = "window.__bench ? {...window.__bench, now: performance.timeOrigin + performance.now()} : {}"
    try:
        return await frame.evaluate(script)
    except Exception:  # a frame that goes away while the desktop opens has nothing to tell
        return {}


async def close_pages(context: BrowserContext) -> None:
    for page in context.pages:
        await page.close()
