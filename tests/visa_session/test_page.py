"""The desktop's page and JupyterLab's tile, in a real browser."""

from __future__ import annotations

import asyncio

import pytest

from .browser import browser, log_in, painted, picture

EXPERIMENTS = [
    {"id": "MA-5001", "title": "Strain in <b>steel</b> \u05e9\u05dc\u05d5\u05dd", "instrument": "ID15"},
    {"id": "ES-1200", "title": "Foam under load", "instrument": "ID19"},
]


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


async def test_the_tile_opens_the_desktop_as_a_tab_of_jupyterlab(new_session, chromium):
    session = new_session(title="Steel", experiments=EXPERIMENTS)
    context = await chromium.new_context(viewport={"width": 1400, "height": 900})
    page = await log_in(context, session)
    await page.goto(session.url)
    assert "/lab" in page.url
    tile = page.locator(".jp-LauncherCard[title='Desktop']")
    await tile.wait_for(timeout=60000)
    assert not any("tigervnc" in p.name().lower() for p in session.processes()), "off until asked for"
    await asyncio.sleep(2)
    await picture(page, "launcher")
    await tile.click()
    frame = None
    while frame is None:
        frame = next((f for f in page.frames if f.url.endswith("/desktop/")), None)
        await asyncio.sleep(0.02)
    await painted(frame)
    await asyncio.sleep(3)
    await picture(page, "tab")
    assert await frame.locator("#notice").is_hidden()
    await context.close()


@pytest.mark.parametrize(
    "name, width, height, scheme",
    [("light", 1280, 800, "light"), ("dark", 1280, 800, "dark"), ("phone", 390, 844, "light")],
)
async def test_the_page_shows_the_desktop(shared_session, chromium, name, width, height, scheme):
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=name == "phone"
    )
    page = await log_in(context, shared_session)
    problems = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    await page.goto(shared_session.url + "desktop/")
    await picture(page, f"{name}-starting")
    await painted(page)
    await page.wait_for_timeout(1500)
    await picture(page, name)
    await page.click("#about")
    await picture(page, f"{name}-about")
    await page.click("#clipboard")
    await picture(page, f"{name}-clipboard")
    assert problems == []
    await context.close()
