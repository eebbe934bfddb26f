"""What the desktop's page says of the people in a session, in real browsers of several people."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import expect

from demo import node

from . import display
from .browser import browser, documented, painted, picture
from .hubside import later, start_session, stop_session, wait_until
from .people import Watched, at_desktop, enter, let_in, member, moment, request

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "members", title="Steel under load", portal_url="/services/visa/")
    yield session
    stop_session(session)


@pytest.fixture(autouse=True)
def told(site, session):
    """Nobody is in at first, and the hub takes what it is told."""
    site.answer()
    let_in(site, session, requests=[], notices=[], help=None, away="leave", ends="", may_extend=0, put_out=[])


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


async def heard(site, session, call: str) -> list:
    """What the hub has heard of a call's kind, once it has heard anything."""
    await later(wait_until, lambda: site.heard(session, call), 10, f"the hub did not hear {call}")
    return site.heard(session, call)


async def test_a_request_appears_at_once_and_leaves_the_keyboard_alone(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    keys = await later(display.Keys, session)
    try:
        await page.locator("#screen canvas").focus()
        await page.keyboard.type("vi")
        best = 10.0
        for attempt in range(3):
            begun = time.monotonic()
            await later(let_in, site, session)
            site.tell("alice", "members", requests=[request() | {"id": f"r{attempt}"}])
            card = page.locator(".visa-requests .visa-card")
            await expect(card).to_be_visible()
            best = min(best, time.monotonic() - begun)
            if best < 1:
                break
        assert best < 1.0, f"the request took {best:.2f} s to appear"
        assert await page.evaluate("() => document.activeElement.tagName") == "CANVAS"
        await page.keyboard.type("sa")
        await later(wait_until, lambda: keys.letters() == "visa", 10, "typing was disturbed")
    finally:
        keys.close()
    await expect(card).to_contain_text("Sam Helper from support asks to work with you")
    await expect(card.locator("blockquote")).to_have_text("I can show you <b>how</b> to\nmask the detector.")
    await expect(card).to_contain_text("You can answer for 4 min")
    await picture(page, "request")


@pytest.mark.parametrize(
    ("label", "answer"), [("Work together", "as-asked"), ("Watch only", "watch"), ("Decline", "decline")]
)
async def test_a_request_is_answered_by_keyboard_alone(site, session, chromium, label, answer):
    page = await at_desktop(await enter(chromium, session), session)
    asked = request() | {"id": f"by-{answer}"}
    site.tell("alice", "members", requests=[asked])
    await expect(page.locator(".visa-requests .visa-card")).to_contain_text("with your account")
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    for _ in range(3):
        if await page.evaluate("() => document.activeElement.textContent") == label:
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".visa-requests .visa-card")).to_have_count(0)
    assert {"request": asked["id"], "answer": answer} in await heard(site, session, "/answers")


async def test_who_asks_to_watch_is_not_offered_more_and_a_refusal_is_said(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    site.answer(calls=[409, "request: it was answered already, on the portal."])
    site.tell("alice", "members", requests=[request("viewer")])
    card = page.locator(".visa-requests .visa-card")
    await expect(card.locator("button")).to_have_text(["Let them watch", "Decline"])
    await card.get_by_text("Let them watch").click()
    await expect(card.get_by_role("alert")).to_have_text("request: it was answered already, on the portal.")
    await expect(card.get_by_text("Decline")).to_be_enabled()
    site.tell("alice", "members", requests=[])
    await expect(card).to_have_count(0)


async def test_a_request_that_lapses_goes(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    site.tell("alice", "members", requests=[request(minutes=0.05)])
    await expect(page.locator(".visa-requests .visa-card")).to_be_visible()
    await expect(page.locator(".visa-requests .visa-card")).to_have_count(0, timeout=8000)


async def test_support_is_seen_all_the_while(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    sign = page.locator("#sign")
    await expect(sign).to_be_hidden()
    let_in(site, session, member("sam", "viewer", support=True))
    await expect(sign).to_contain_text("Sam Helper from support may come in and watch")
    sam = await at_desktop(await enter(chromium, session, "sam"), session)
    await expect(sign).to_contain_text("Sam Helper from support is watching, until ")
    await expect(sam.locator("#sign")).to_contain_text("You are in Alice Owner's session as support")
    await expect(page.locator("#bar")).not_to_have_class("open", timeout=8000)
    await expect(sign).to_be_visible()
    await picture(page, "support")
    # What lies below it can still be clicked.
    box = await sign.bounding_box()
    point = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    below = "([x, y]) => document.elementFromPoint(x, y).closest('#screen') !== null"
    assert await page.evaluate(below, point)
    let_in(site, session, member("sam", "collaborator", support=True), member("carl", "viewer"))
    await expect(sign).to_contain_text("Sam Helper from support is controlling")
    asked = request() | {"full_name": "Ines Scientist", "message": "I can show you how to mask the detector."}
    site.tell("alice", "members", requests=[asked])
    await expect(page.locator(".visa-requests .visa-card")).to_be_visible()
    await page.evaluate("() => document.getElementById('bar').classList.add('open')")
    await page.click("#people")
    await asyncio.sleep(0.4)
    await documented(page, "inside-owner")
    let_in(site, session, requests=[])
    await expect(sam.locator("#notice-words")).to_have_text("You are not in this session any more.")
    await expect(sam.locator("#sign")).to_be_hidden()
    await expect(sign).to_be_hidden()


async def test_the_owner_sees_who_is_in_and_ends_it(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    let_in(site, session, member("carl", "collaborator"), member("vera", "viewer"))
    await at_desktop(await enter(chromium, session, "vera"), session)
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    await expect(page.locator("#people-count")).to_have_text("1")
    await page.click("#people")
    panel = page.locator("#people-panel")
    rows = panel.locator("li")
    await expect(rows.nth(0)).to_contain_text("works with you, since")
    await expect(rows.nth(0)).to_contain_text("not here now")
    await expect(rows.nth(1)).to_contain_text("Vera <i>Viewer</i>")
    await expect(rows.nth(1)).to_contain_text("here now")
    share = await panel.get_by_text("Share…").get_attribute("href")
    assert share == "/services/visa/sessions/members/sharing"
    await picture(page, "members")
    await rows.nth(1).get_by_role("button").click()
    assert await heard(site, session, "/members/vera")
    await panel.get_by_text("End all").click()
    assert await heard(site, session, "/members")
    site.answer(calls=[503, "The hub is busy."])
    await rows.nth(0).get_by_role("button").click()
    await expect(panel.get_by_role("alert")).not_to_be_empty()


async def test_a_member_sees_who_else_is_in_and_ends_nothing(site, session, chromium):
    let_in(site, session, member("carl", "collaborator"), member("vera", "viewer"))
    vera = await at_desktop(await enter(chromium, session, "vera"), session)
    await at_desktop(await enter(chromium, session, "carl"), session)
    await vera.keyboard.press("Control+Alt+Shift+KeyM")
    await vera.click("#people")
    panel = vera.locator("#people-panel")
    await expect(panel.locator("li")).to_have_count(3)
    await expect(panel).to_contain_text("Alice Owner")
    await expect(panel.locator("button, a").filter(visible=True)).to_have_count(0)


async def test_notices_are_read_and_put_away(site, session, chromium):
    page = await at_desktop(await enter(chromium, session), session)
    notices = [
        {"id": "n1", "kind": "message", "words": "Slow <b>today</b>.", "made": "2026-01-01T00:00:00+00:00"},
        {
            "id": "n2",
            "kind": "announcement",
            "words": "Closed on Tuesday.",
            "made": "2026-01-01T00:00:00+00:00",
        },
    ]
    site.tell("alice", "members", notices=notices)
    cards = page.locator(".visa-notices .visa-card")
    await expect(cards).to_have_count(2)
    await expect(cards.nth(0)).to_contain_text("Message from the facility")
    await expect(cards.nth(0)).to_contain_text("Slow <b>today</b>.")
    await cards.nth(0).get_by_text("Dismiss").click()
    await expect(cards.nth(0)).to_be_hidden()
    assert await heard(site, session, "/notices/n1/seen")
    # An announcement holds on for all, and is put aside in this browser alone.
    await expect(cards.nth(1)).to_be_visible()
    await cards.nth(1).get_by_text("Dismiss").click()
    await expect(cards.nth(1)).to_be_hidden()
    await at_desktop(page, session)
    await expect(cards).to_have_count(1)
    await expect(cards).to_contain_text("Slow")
    assert site.heard(session, "/notices/n2/seen") == []


async def test_a_change_of_role_is_said_and_the_page_follows(site, session, chromium):
    let_in(site, session, member("vera", "viewer"))
    page = await at_desktop(await enter(chromium, session, "vera"), session)
    assert await page.locator("#clipboard").count() == 0
    let_in(site, session, member("vera", "collaborator"))
    await expect(page.locator("#said")).to_contain_text("You can now work here", timeout=15000)
    await expect(page.locator("#clipboard")).to_have_count(1)
    await painted(page)
    let_in(site, session, member("vera", "viewer"))
    await expect(page.locator("#said")).to_have_text("You can now only watch.", timeout=15000)
    await expect(page.locator(".badge")).to_have_text("Watching")
    await painted(page)


async def test_an_owner_who_goes_away_is_given_as_the_reason(site, session, chromium):
    let_in(site, session, member("carl", "collaborator"), away="view-only")
    alice = await at_desktop(await enter(chromium, session), session)
    carl = await at_desktop(await enter(chromium, session, "carl"), session)
    await expect(carl.locator("#clipboard")).to_have_count(1)
    await alice.context.close()
    await expect(carl.locator("#said")).to_have_text(
        "Alice Owner is away: you can only watch until they are back.", timeout=30000
    )
    await expect(carl.locator(".badge")).to_have_text("Watching")


async def test_an_end_is_said_and_the_page_asks_no_more(site, session, chromium):
    let_in(site, session, member("vera", "viewer"))
    page = await enter(chromium, session, "vera")
    await page.clock.install()
    await at_desktop(page, session)
    refused = lambda: session.log.count("vera (no role) may not GET")  # noqa: E731
    before = refused()
    let_in(site, session)
    await expect(page.locator("#notice-words")).to_have_text(
        "You are not in this session any more.", timeout=5000
    )
    await expect(page.locator("#portal")).to_have_attribute("href", "/services/visa/")
    await expect(page.locator("#notice-more")).to_contain_text("Alice Owner took you out")
    await expect(page.locator("#notice-more")).to_contain_text("This page has stopped asking")
    await expect(page.locator("#bar")).to_be_hidden()
    # The keyboard goes from button to button, and stops at nothing that is not seen.
    for name in ("Try now", "My sessions"):
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text(name)
    await page.keyboard.press("Tab")
    await expect(page.locator(".visa-stack:focus")).to_have_count(0)
    await picture(page, "ended")
    await asyncio.sleep(1)  # what was under way at the end has been answered by then
    asked = refused() - before
    await page.clock.fast_forward(180000)
    await asyncio.sleep(1)  # and what it asks after three minutes
    assert asked < 8 and refused() - before == asked, "it asks on"
    again = page.get_by_role("button", name="Try now")
    await again.click()
    await later(wait_until, lambda: refused() - before == asked + 1, 10, "it does not ask when told to")
    await expect(again).to_be_visible()
    let_in(site, session, member("vera", "viewer"))
    await again.click()
    await expect(page.locator("#notice")).to_be_hidden(timeout=30000)
    await painted(page)
    let_in(site, session, put_out=[{"name": "vera", "full_name": "Vera Ray"}])
    await expect(page.locator("#notice-more")).to_contain_text(
        "Alice Owner added data to it that you may not see.", timeout=5000
    )


async def test_an_absence_is_over_by_itself(site, session, chromium):
    """The owner was away and lets nobody in meanwhile: who was in comes back without doing anything."""
    let_in(site, session, member("vera", "viewer"))
    page = await enter(chromium, session, "vera")
    await page.clock.install()
    await at_desktop(page, session)
    let_in(site, session, member("vera", "viewer"), away="disconnect")
    await expect(page.locator("#notice-words")).to_have_text("You are not in this session any more.")
    await expect(page.locator("#notice-more")).not_to_contain_text("stopped asking")
    let_in(site, session, member("vera", "viewer"), away="leave")
    await page.clock.fast_forward(70000)
    await expect(page.locator("#notice")).to_be_hidden(timeout=30000)
    await painted(page)


SHOWN = """() => {
  const {x, y, width, height} = document.querySelector('#screen canvas').getBoundingClientRect();
  const canvas = document.querySelector('#screen canvas');
  return [x, y, width, height, canvas.width, canvas.height];
}"""


@pytest.mark.parametrize(("width", "height"), [(700, 620), (2300, 1000)])
async def test_a_viewer_sees_all_of_it_in_any_window(site, session, chromium, width, height):
    """The owner's desktop may be larger or smaller than the window, and may change."""
    let_in(site, session, member("vera", "viewer"))
    page = await at_desktop(await enter(chromium, session, "vera", width, height), session)

    async def shows(size: str) -> None:
        wanted = [int(part) for part in size.split("x")]
        fits = f"() => (({SHOWN})().slice(4)).join('x') === '{size}'"
        await page.wait_for_function(fits, timeout=10000)
        await asyncio.sleep(0.2)
        x, y, shown_width, shown_height, *_ = await page.evaluate(SHOWN)
        assert x >= -0.5 and y >= -0.5, "cropped at the left or the top"
        assert x + shown_width <= width + 0.5 and y + shown_height <= height + 0.5, "cropped"
        assert abs(shown_width - width) < 1.5 or abs(shown_height - height) < 1.5, "smaller than it could be"
        assert abs(shown_width / shown_height - wanted[0] / wanted[1]) < 0.01, "out of shape"

    try:
        await shows("1920x1080")
        await later(display.run, session, "xrandr", "-s", "1024x768")
        await shows("1024x768")
        assert await later(display.size, session) == "1024x768", "the viewer resized the desktop"
        await picture(page, f"viewer-{width}")
    finally:
        await later(display.run, session, "xrandr", "-s", "1920x1080")


async def test_a_viewer_who_tries_to_work_is_told_once(site, session, chromium):
    let_in(site, session, member("vera", "viewer"))
    page = await at_desktop(await enter(chromium, session, "vera"), session)
    said = page.locator("#said")
    await expect(said).to_be_hidden()
    await page.wait_for_function("() => document.getElementById('people-count').textContent !== ''")
    await page.mouse.click(600, 500)
    await expect(said).to_contain_text("You are watching. Mouse and keyboard belong to Alice Owner")
    await documented(page, "inside-viewer")
    await page.evaluate("() => { document.getElementById('said').hidden = true; }")
    await page.mouse.click(600, 520)
    await page.keyboard.type("x")
    await page.mouse.move(100, 100, steps=5)
    await page.mouse.move(1000, 700, steps=5)
    await expect(said).to_be_hidden()


WINDOWS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"width": 390, "height": 844, "has_touch": True, "is_mobile": True},
}


@pytest.mark.parametrize("kind", WINDOWS)
async def test_axe_finds_nothing_and_nothing_leaves_the_window(site, session, chromium, kind):
    axe = (node.install(HERE.parent / "axe") / "axe-core" / "axe.min.js").read_text()
    watched = Watched()
    page = await enter(chromium, session, bypass_csp=True, **WINDOWS[kind])
    watched.watch(page, "alice")
    let_in(
        site, session, member("vera", "viewer"), member("sam", "viewer", support=True), requests=[request()]
    )
    told = {"id": "n3", "kind": "message", "words": "Hello.", "made": ""}
    site.tell("alice", "members", notices=[told], ends=moment(20), may_extend=4)
    await at_desktop(page, session)
    await expect(page.locator(".visa-notices .visa-card")).to_be_visible()
    await expect(page.get_by_role("link", name="Extend")).to_be_visible()
    await page.evaluate("() => document.getElementById('bar').classList.add('open')")
    await page.click("#people")
    await expect(page.locator("#people-panel")).to_be_visible()
    await asyncio.sleep(0.4)
    await picture(page, f"people-{kind}")
    for selector in (".visa-requests .visa-card", "#people-panel", "#sign"):
        box = await page.locator(selector).first.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"], selector
    await page.evaluate(axe)
    problems = (await page.evaluate("axe.run(document, {resultTypes: ['violations']})"))["violations"]
    assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in problems] == []
    assert watched.problems == []
