"""A real Chromium for the session's pages."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

from playwright.async_api import BrowserContext, Frame, Page, async_playwright

from tests.chromium import CHROMIUM, FLAGS, PAINTED, RESULTS

from .hubside import Session


@asynccontextmanager
async def browser(*flags: str):
    """One Chromium; new contexts from it are new people."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield chromium
        finally:
            await chromium.close()


async def log_in(context: BrowserContext, session: Session, name: str | None = None) -> Page:
    """A page of a person who is logged in at the hub."""
    page = await context.new_page()
    await page.goto(f"{session.site.url}/hub/login?next=%2Fhub%2Fhome")
    await page.fill("#username_input", name or session.owner)
    await page.fill("#password_input", "pw")
    await page.click("#login_submit")
    await page.wait_for_url("**/hub/home")
    return page


async def painted(frame: Page | Frame, seconds: float = 20) -> float:
    """Wait for the first frame of the desktop; seconds it took."""
    begun = time.monotonic()
    await frame.wait_for_function(PAINTED, timeout=1000 * seconds, polling=50)
    return time.monotonic() - begun


async def picture(page: Page, name: str) -> None:
    """Keep a picture for people to look at."""
    RESULTS.mkdir(exist_ok=True)
    await page.screenshot(path=RESULTS / f"session-{name}.png")


async def documented(page: Page, name: str) -> None:
    """Take a picture that the documentation shows: see docs/pictures.py."""
    (RESULTS / "pictures").mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=RESULTS / "pictures" / f"{name}.png")
