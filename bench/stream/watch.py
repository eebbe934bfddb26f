"""A page of the desktop over a line: pictures a second, clicks, bytes, and how far it is from the screen."""

from __future__ import annotations

import asyncio
import base64
import statistics
import zlib
from pathlib import Path

import numpy
from playwright.async_api import Page, TimeoutError

from tests.visa_session.browser import log_in
from tests.visa_session.hubside import Session, later
from tests.visa_session.moving import Moving

from ..hub import BenchFailed
from .line import Line

PROBE = Path(__file__).with_name("probe.js").read_text()
#: Seconds: what moves is watched for, until it is under way, and a click's until it counts as lost.
WATCHED, UNDER_WAY, LOST = 4.0, 2.0, 10.0
#: Clicks a measurement.
CLICKS = 6
#: What makes up a minute of work, and seconds of each.
WORK, EACH = ("scroll", "drag", "edit", "rest"), 6.0
#: Text alone on the scene's page: left, top, width, height.
TEXT = (140, 140, 700, 300)


async def open_page(line: Line, session: Session, way: str) -> Page:
    """The owner's page with one of the two streams chosen; raises BenchFailed when another comes."""
    context = await line.browser.new_context(viewport={"width": 1920, "height": 1080})
    page = await log_in(context, session)
    await page.add_init_script(PROBE)
    await page.add_init_script(f"localStorage.setItem('visa-desktop-picture', '{way}')")
    await page.goto(session.url + "desktop/")
    try:
        await page.wait_for_selector(f"#picture[data-used={way}]", timeout=60000)
    except TimeoutError as error:
        raise BenchFailed(f"the {way} stream did not come") from error
    return page


async def frame_rate(page: Page) -> float:
    """Pictures a second, seen on the canvas."""
    before = await page.evaluate("() => window.__probe.frames")
    await asyncio.sleep(WATCHED)
    return (await page.evaluate("() => window.__probe.frames") - before) / WATCHED


async def click_delay(page: Page) -> float:
    """Milliseconds from a click to its answer on the canvas, the median; one that is lost counts LOST."""
    found = []
    for _ in range(CLICKS):
        count = await page.evaluate("() => window.__probe.delays.length")
        await page.mouse.click(960, 540)
        try:
            await page.wait_for_function(
                "(count) => window.__probe.delays.length > count", arg=count, timeout=1000 * LOST
            )
            found.append(await page.evaluate("() => window.__probe.delays.at(-1)"))
        except TimeoutError:
            found.append(1000 * LOST)
        await asyncio.sleep(0.3)  # so that answers do not run into each other
    return statistics.median(found)


async def work(line: Line, moving: Moving) -> dict[str, float]:
    """Bytes down the line in each part of the work."""
    found = {}
    for act in WORK:
        before = line.passed
        await later(moving.tell, act)
        await asyncio.sleep(EACH)
        found[act] = line.passed - before
    return found


async def loss(page: Page, moving: Moving) -> tuple[float, float]:
    """Of still text: the mean and the largest difference from the screen, of 255."""
    left, top, width, height = TEXT
    packed = base64.b64decode(await page.evaluate("(part) => window.__probe.part(...part)", list(TEXT)))
    seen = numpy.frombuffer(packed, numpy.uint8).reshape(height, width, 4)[:, :, :3].astype(int)
    screen = numpy.frombuffer(
        zlib.decompress(base64.b64decode(await later(moving.tell, "dump"))), numpy.uint8
    )
    wanted = screen.reshape(1080, 1920, 4)[top : top + height, left : left + width, 2::-1]
    off = numpy.abs(seen - wanted).max(axis=2)
    return float(off.mean()), float(off.max())


async def cpu(session: Session, program: str, seconds: float) -> float:
    """Share of a core that the session's processes with this in their command line take."""

    def spent() -> float:
        return sum(
            sum(one.cpu_times()[:2])
            for one in session.processes()
            if any(program in word for word in one.cmdline())
        )

    before = await later(spent)
    await asyncio.sleep(seconds)
    return (await later(spent) - before) / seconds
