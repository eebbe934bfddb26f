"""The two streams of the desktop's page, in a real browser, over lines of all kinds."""

from __future__ import annotations

import asyncio
import base64
import zlib

import numpy
import psutil
import pytest
from playwright.async_api import Page, expect

from bench.stream.line import line

from . import display
from .browser import browser, documented, log_in, painted, picture
from .hubside import later, start_session, stop_session, wait_until
from .moving import Moving

#: Megabits a second, and seconds there and back.
LINES = {"20": (20, 0.04), "5": (5, 0.08), "1": (1, 0.15)}
FAST = (1000, 0.0)

#: What lies on top.
TOP = """(document.querySelector("#film canvas:not([hidden])") ?? document.querySelector("#screen canvas"))"""
#: How often the desktop is drawn anew, by one point of what lies on top.
COUNTING = """() => {
  let last = "";
  window.drawn = 0;
  const look = () => {
    const on = TOP;
    if (on?.width) {
      const seen = on.getContext("2d").getImageData(on.width * 0.21, on.height * 0.37, 1, 1).data.join();
      if (seen !== last) window.drawn += 1;
      last = seen;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}""".replace("TOP", TOP)


@pytest.fixture(scope="module")
def session(site):
    """One session for all of them, with a viewer `vera` and a collaborator `carl`."""
    session = start_session(site, "alice", "picture", title="Thin line")
    session.people = {name: site.person(name) for name in ("vera", "carl")}
    site.share("alice", "picture", "vera")
    site.share("alice", "picture", "carl", control=True)
    yield session
    stop_session(session)


@pytest.fixture(scope="module")
def moving(session):
    session.get("desktop/")  # starts it
    moving = Moving(session)
    yield moving
    moving.close()


@pytest.fixture
async def thin(site):
    """A line to the site, fast at first, and a browser that takes it."""
    async with line(site.port, *FAST) as made:
        there = f"--host-resolver-rules=MAP 127.0.0.1:{site.port} 127.0.0.1:{made.port}"
        async with browser(there) as chromium:
            made.browser = chromium
            yield made


async def open_page(thin, session, name: str = "alice", choice: str = "") -> Page:
    """The desktop's page of somebody, in a window of their own."""
    context = await thin.browser.new_context(viewport={"width": 1280, "height": 800})
    page = await log_in(context, session, name)
    if name != session.owner:
        await page.goto(f"{session.url}visa/session?token={session.people[name]}")
    await page.add_init_script(f"({COUNTING})()")
    if choice:
        await page.add_init_script(f"localStorage.setItem('visa-desktop-picture', '{choice}')")
    await page.goto(session.url + "desktop/")
    await painted(page)
    return page


def used(page: Page, which: str, seconds: float = 15):
    return expect(page.locator("#picture")).to_have_attribute("data-used", which, timeout=1000 * seconds)


async def drawn(page: Page) -> int:
    """Pictures until now."""
    return await page.evaluate("() => window.drawn")


def selkies_of(session) -> list[psutil.Process]:
    return [one for one in session.processes() if "visa_session.stream.launch" in one.cmdline()]


#: What lies on top in a part of the screen, as base64 of RGBA: left, top, width, height.
PART = """(part) => {
  const on = TOP;
  const { data } = on.getContext("2d").getImageData(...part);
  let text = "";
  for (let i = 0; i < data.length; i += 0x8000) text += String.fromCharCode(...data.subarray(i, i + 0x8000));
  return btoa(text);
}""".replace("TOP", TOP)
#: Text alone, of the page that the scene shows.
TEXT = (140, 140, 700, 300)


async def shown(page: Page) -> numpy.ndarray:
    left, top, width, height = TEXT
    packed = base64.b64decode(await page.evaluate(PART, [left, top, width, height]))
    return numpy.frombuffer(packed, numpy.uint8).reshape(height, width, 4)[:, :, :3]


async def on_screen(moving: Moving) -> numpy.ndarray:
    left, top, width, height = TEXT
    pixels = numpy.frombuffer(
        zlib.decompress(base64.b64decode(await later(moving.tell, "dump"))), numpy.uint8
    )
    return pixels.reshape(1080, 1920, 4)[top : top + height, left : left + width, 2::-1]


async def test_the_stream_follows_the_line(thin, session, moving):
    """Sharp on a fast line, fluent on each thin one; what stands still is what is on the screen."""
    page = await open_page(thin, session)
    await used(page, "sharp")
    for name, shape in LINES.items():
        thin.shape(*shape)
        await page.reload()
        await used(page, "fluent", 30)
        await later(moving.tell, "move")
        await page.wait_for_function("() => document.querySelector('#film canvas:not([hidden])')")
        await page.wait_for_function("(before) => window.drawn > before + 3", arg=await drawn(page))
        await picture(page, f"line-{name}")
    thin.shape(*LINES["5"])
    await later(moving.tell, "scroll")
    await page.wait_for_function("() => document.querySelector('#film canvas:not([hidden])')")
    await page.wait_for_function("(before) => window.drawn > before + 3", arg=await drawn(page))
    await later(moving.tell, "rest")
    wanted = (await on_screen(moving)).astype(int)
    assert numpy.unique(wanted).size > 1, "there is text"
    # Where the encoder pauses, beside other work, all is taken for still too soon: it comes right.
    async with asyncio.timeout(15):
        while True:
            await page.wait_for_function("() => !document.querySelector('#film canvas:not([hidden])')")
            off = numpy.abs(await shown(page) - wanted).max(axis=2)
            if off.max() < 48 and off.mean() < 3:
                break
            await asyncio.sleep(0.3)  # a picture on its way is there by then, or in one of the next
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    await page.click("#picture")
    await expect(page.locator("#picture-now")).to_contain_text("Now: Fluent. Your line passes ")
    await documented(page, "picture")


async def test_all_roles_share_one_fluent_desktop(thin, session, moving):
    """One encoder for all; who watches does nothing, by keyboard or mouse."""
    thin.shape(*LINES["20"])
    pages = {name: await open_page(thin, session, name, "fluent") for name in ("vera", "carl", "alice")}
    for page in pages.values():
        await used(page, "fluent", 30)
    assert len(await later(selkies_of, session)) == 1
    await later(moving.tell, "move")
    for page in pages.values():
        await page.wait_for_function("(before) => window.drawn > before + 3", arg=await drawn(page))
    await later(moving.tell, "rest")
    keys = await later(display.Keys, session)
    try:
        for name, page in pages.items():
            await page.bring_to_front()
            await page.locator("#screen canvas").focus()
            await page.keyboard.type(name[0])
        await later(wait_until, lambda: keys.letters().endswith("a"))
        assert keys.letters() == "ca", "of the collaborator and the owner, not of the viewer"
    finally:
        await later(keys.close)


async def test_a_line_that_was_pulled_recovers(thin, session, moving):
    """By itself, and goes on being fluent."""
    page = await open_page(thin, session, choice="fluent")
    thin.shape(*LINES["5"])
    await used(page, "fluent", 30)
    await later(moving.tell, "move")
    await page.wait_for_function("(before) => window.drawn > before + 3", arg=await drawn(page))
    thin.pull()
    await asyncio.sleep(1)  # what was on its way is there
    before = await drawn(page)
    await asyncio.sleep(9)  # ten seconds are what people's lines are gone for
    assert await drawn(page) <= before + 1, "nothing comes"
    thin.give_back()
    await used(page, "fluent", 30)
    await page.wait_for_function("(before) => window.drawn > before + 3", arg=await drawn(page))
    await later(moving.tell, "rest")


async def test_vnc_takes_over_from_a_killed_stream(thin, session, moving):
    """At once, in words, with the same desktop; and the stream is tried again by itself."""
    page = await open_page(thin, session, choice="fluent")
    await used(page, "fluent", 30)
    await later(moving.tell, "move")
    for process in await later(selkies_of, session):
        process.kill()
    await used(page, "sharp")
    await expect(page.locator("#notice")).to_be_hidden()
    await expect(page.locator("#picture-why")).to_contain_text("is tried again: The video stream has failed")
    before = await drawn(page)
    sharp = "document.querySelector('#picture').dataset.used === 'sharp'"
    await page.wait_for_function(
        f"(before) => {sharp} && window.drawn > before + 3", arg=before, timeout=4000
    )
    await used(page, "fluent", 30)
    await expect(page.locator("#picture-why")).to_be_empty()
    await later(moving.tell, "rest")


async def test_sharp_is_sharp_on_any_line(thin, session):
    """The person's own choice counts above all, and is remembered."""
    thin.shape(*LINES["5"])
    page = await open_page(thin, session, choice="sharp")
    await expect(page.locator("#picture-now")).to_have_text("Now: Sharp.")
    assert await page.evaluate(
        "() => performance.getEntriesByType('resource').every(one => !one.name.includes('probe'))"
    )
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    await page.click("#picture")
    await page.check("input[value=fluent]")
    await used(page, "fluent", 30)
    await page.check("input[value=sharp]")
    await used(page, "sharp")
    assert await page.evaluate("() => localStorage.getItem('visa-desktop-picture')") == "sharp"
