"""One real site for all of these tests, and a real browser that logs in like a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.chromium import CHROMIUM, FLAGS, RESULTS

from .site import RunningSite, start_site, stop_site


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[RunningSite]:
    running = start_site(tmp_path_factory.mktemp("site"))
    yield running
    stop_site(running)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def person(browser: Browser, site: RunningSite):
    """`async with person("name") as page`: a browser of that person's own, logged in."""

    @asynccontextmanager
    async def visit(name: str, **options) -> AsyncIterator[Page]:
        context: BrowserContext = await browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options}
        )
        page = await context.new_page()
        await log_in(page, site, name)
        yield page
        await context.close()

    return visit


async def log_in(page: Page, site: RunningSite, name: str) -> None:
    """Through the hub's one button and the provider's form."""
    await page.goto(site.url)
    await page.get_by_role("link", name="Log in").or_(page.get_by_role("button", name="Log in")).click()
    await page.locator("input[type=password]").wait_for()
    await page.locator("form input:not([type=password]):not([type=hidden])").first.fill(name)
    await page.locator("input[type=password]").fill(site.account(name).password)
    await page.locator("form [type=submit]").click()
    await page.wait_for_url("**/services/visa/**")


@pytest.fixture
def picture():
    """`await picture(page, "name")` keeps a picture under tests/results/, which the docs' come from."""
    folder = RESULTS / "pictures"
    folder.mkdir(parents=True, exist_ok=True)

    async def take(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        await page.screenshot(path=path)
        return path

    return take
