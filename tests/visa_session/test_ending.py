"""Warnings before the end, on the desktop and in JupyterLab: in time, once each, out of the way."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from . import display
from .browser import browser, documented, picture
from .hubside import later, start_session, stop_session, wait_until
from .people import at_desktop, at_lab, enter, let_in, member, moment

READER = {"locale": "en-GB", "timezone_id": "Europe/Paris"}
EXTEND = "/services/visa/sessions/ending/extend"


@pytest.fixture(scope="module")
def session(site):
    session = start_session(
        site, "alice", "ending", title="Steel under load", portal_url="/services/visa/", ends=moment(600)
    )
    yield session
    stop_session(session)


@pytest.fixture(autouse=True)
def told(site, session):
    site.answer()
    let_in(site, session, requests=[], notices=[], help=None, away="leave", ends=moment(600), may_extend=0)


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


def card(page):
    return page.get_by_role("group", name="This session ends at")


async def test_the_desktop_warns_twice_and_leaves_the_keyboard_alone(site, session, chromium):
    page = await at_desktop(await enter(chromium, session, **READER), session)
    keys = await later(display.Keys, session)
    try:
        await page.locator("#screen canvas").focus()
        await page.keyboard.type("vi")
        await expect(card(page)).to_have_count(0)
        site.tell("alice", "ending", ends=moment(29.9), may_extend=4)
        await expect(card(page)).to_contain_text("in 30 minutes", timeout=15000)
        assert await page.evaluate("() => document.activeElement.tagName") == "CANVAS"
        await page.keyboard.type("sa")
        await later(wait_until, lambda: keys.letters() == "visa", 10, "typing was disturbed")
    finally:
        keys.close()
    said = page.get_by_role("status").filter(has_text="This session ends at")
    await expect(said).to_contain_text("Save your work")
    await page.wait_for_timeout(600)  # until it stands still
    await picture(page, "ending")
    await documented(page, "inside-ending")
    # The one combination that is not the desktop's leads there.
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    link = card(page).get_by_role("link", name="Extend")
    await expect(link).to_be_focused()
    assert await link.get_attribute("href") == EXTEND
    await card(page).get_by_role("button", name="Dismiss").click()
    await expect(card(page)).to_have_count(0)
    await page.reload()
    await expect(page.locator("#time")).to_contain_text("29 min left", timeout=15000)
    await page.wait_for_timeout(6000)  # longer than it takes to look at the time again
    await expect(card(page)).to_have_count(0)
    site.tell("alice", "ending", ends=moment(4.9))
    await expect(card(page)).to_contain_text("in 5 minutes", timeout=15000)
    # Put off: the words are right no more, and go.
    site.tell("alice", "ending", ends=moment(125), may_extend=0)
    await expect(card(page)).to_have_count(0, timeout=15000)
    await expect(page.locator("#time")).to_contain_text("2 h")


async def test_only_the_owner_is_offered_to_extend(site, session, chromium):
    soon = {"ends": moment(20), "may_extend": 4}
    let_in(site, session, member("carl", "collaborator"), **soon)
    alice = await at_desktop(await enter(chromium, session), session)
    await expect(card(alice)).to_contain_text("in 20 minutes", timeout=15000)
    await expect(card(alice).get_by_role("link", name="Extend")).to_be_visible()
    carl = await at_desktop(await enter(chromium, session, "carl"), session)
    await expect(card(carl)).to_contain_text("in 20 minutes", timeout=15000)
    await expect(card(carl).get_by_role("link")).to_have_count(0)
    assert EXTEND not in await carl.content()


async def test_jupyterlab_warns_without_taking_the_keyboard(site, session, chromium):
    page = await at_lab(await enter(chromium, session, **READER), session)
    await page.evaluate("() => document.querySelector('.jp-LauncherCard').focus()")
    before = await page.evaluate("() => document.activeElement.className")
    site.tell("alice", "ending", ends=moment(29.9), may_extend=4)
    toast = page.locator(".Toastify__toast", has_text="This session ends at")
    await expect(toast).to_contain_text("in 30 minutes", timeout=15000)
    await expect(toast.get_by_role("button", name="Extend")).to_be_visible()
    assert await page.evaluate("() => document.activeElement.className") == before
    await page.wait_for_timeout(1000)  # until it stands still
    await picture(page, "ending-lab")
    async with page.context.expect_page() as opened:
        await toast.get_by_role("button", name="Extend").click()
    assert (await opened.value).url.endswith(EXTEND)
    site.tell("alice", "ending", ends=moment(250), may_extend=0)
    await expect(toast).to_have_count(0, timeout=15000)
