"""From the click in the portal, or the bare process's start, to JupyterLab's launcher, in a real browser.

One browser for all sides, with a cache on disk as a person's has: what counts is a browser that was here
before.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import BrowserContext, Page, async_playwright

from tests.chromium import CHROMIUM, FLAGS

from .bare import Bare
from .hub import BenchFailed, Hub

PROBE = Path(__file__).with_name("launcher.js").read_text()
#: Seconds for a launcher to come.
LIMIT = 90
#: Seconds until a page of the portal's has asked what it asks when it has come.
SETTLES = 1.0


@dataclass
class Marks:
    """What a page has told, in seconds since 1970."""

    at: dict[str, float]
    told: asyncio.Event

    async def wait(self, name: str) -> float:
        """When that was; raises BenchFailed when it does not come."""
        try:
            async with asyncio.timeout(LIMIT):
                while name not in self.at:
                    self.told.clear()
                    await self.told.wait()
        except TimeoutError:
            raise BenchFailed(f"{name}: not seen within {LIMIT} s") from None
        return self.at[name]


@asynccontextmanager
async def browser() -> AsyncIterator[BrowserContext]:
    """A Chromium of its own, whose cache and compiled scripts last from page to page."""
    with tempfile.TemporaryDirectory(prefix="visa-bench-") as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=CHROMIUM,
                args=FLAGS,
                viewport={"width": 1600, "height": 900},
                locale="en-GB",
            )
            await context.add_init_script(PROBE)
            yield context
            await context.close()


@asynccontextmanager
async def _page(context: BrowserContext) -> AsyncIterator[tuple[Page, Marks]]:
    page, marks = await context.new_page(), Marks({}, asyncio.Event())

    def mark(name: str, at: float) -> None:
        marks.at.setdefault(name, at / 1000)
        marks.told.set()

    await page.expose_function("benchMark", mark)
    yield page, marks
    await page.close()


async def from_portal(context: BrowserContext, hub: Hub) -> float:
    """Seconds from the click on Start to the launcher; the session is gone afterwards."""
    wanted = {name: hub.options[name] for name in ("profile", "plan", "interface")}
    query = urlencode([("experiment", one) for one in hub.options["experiments"]] + list(wanted.items()))
    async with _page(context) as (page, marks):
        await page.goto(f"{hub.portal}new?{query}")
        start = page.locator("#start")
        await start.wait_for()
        # The page asks once more what is free when it has come; a person takes longer to click. Not
        # "networkidle": it holds a call for as long as it is open.
        await asyncio.sleep(SETTLES)
        await start.click()
        seconds = await marks.wait("drawn") - await marks.wait("click")
        name = page.url.split(f"/user/{hub.user}/")[1].split("/")[0]
    await hub.stop(name)
    return seconds


async def from_bare(context: BrowserContext, bare: Bare) -> float:
    """Seconds from starting the process by hand to the launcher; the process is gone afterwards.

    Its page is asked for as soon as it answers, by its token: no hub's login is in the way.
    """
    async with _page(context) as (page, marks):
        await page.set_extra_http_headers({"Authorization": f"token {bare.hub.token}"})
        async with bare.running() as (began, url):
            await page.goto(f"{url}lab")
            return await marks.wait("drawn") - began
