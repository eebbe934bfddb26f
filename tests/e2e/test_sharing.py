"""Letting people in, in real browsers: what owner, member and staff see and do."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from .sharing import EXPERIMENT, Shared, desktop_sockets, painted
from .site import RunningSite


@pytest.fixture(scope="module")
def session(site: RunningSite) -> Iterator[Shared]:
    """alice's session, whose experiment bob and chloe are on, too."""
    alice = site.account("alice")
    options = {"experiments": [EXPERIMENT], "profile": "general", "plan": "small", "interface": "desktop"}
    alice.started("together", **options)
    yield Shared(alice, "together")
    alice.remove("together")


@pytest.fixture
def alone(session: Shared) -> Shared:
    """The session with nobody in it but its owner."""
    session.end_all()
    return session


async def open_shared(page: Page) -> Page:
    """Open the desktop that somebody shares with this person, from the portal."""
    await page.goto(portal_of(page))
    tile = page.locator("#shared li.tile")
    await expect(tile).to_contain_text("Alice Moreau")
    await tile.locator("[data-do=desktop]").click()
    await page.wait_for_url(re.compile(r"alice\.localhost.*/desktop"))  # nothing is asked on the way
    return await painted(page)


def portal_of(page: Page) -> str:
    return re.match(r".*/services/visa/", page.url)[0]


async def move(page: Page, across: float, down: float) -> None:
    """Move the mouse to a place on the desktop's picture, in parts of its width and height."""
    box = await page.locator("#screen canvas").bounding_box()
    for step in (0.9, 1.0):  # from somewhere else, so that there is a movement
        await page.mouse.move(box["x"] + box["width"] * across * step, box["y"] + box["height"] * down * step)


async def moves(session: Shared, page: Page, across: float, down: float, seconds: float = 8) -> bool:
    """Whether the pointer on the session's own screen follows the mouse on somebody's page."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await move(page, across, down)
        x, y = await asyncio.to_thread(session.pointer)
        if abs(x - across * 1920) < 40 and abs(y - down * 1080) < 40:
            return True
    return False


async def test_a_team_watches_then_works_along_then_is_out(alone: Shared, person, picture):
    """Shared with the team from the portal; two browsers beside each other on one desktop."""
    async with person("alice") as alice, person("bob") as bob, person("chloe") as chloe:
        await alice.goto(alone.sharing_page)
        team = alice.locator(f"[id='team-{EXPERIMENT}']")
        await team.get_by_role("button", name="As viewers").click()
        await expect(team).to_contain_text("Shared with the whole team")

        bobs = desktop_sockets(bob)
        await open_shared(bob)
        await expect(bob.locator(".badge")).to_have_text("Watching")
        owner = await alice.context.new_page()
        await owner.goto(f"{alone.url}desktop/")
        await painted(owner)
        assert await moves(alone, owner, 0.3, 0.4)
        await expect(owner.locator("#people-count")).to_have_text("1")
        await asyncio.to_thread(
            alone.show, f"/opt/visa/venv/bin/silx view /experiments/{EXPERIMENT}/raw/*.h5"
        )
        await at_rest(owner)
        await beside(owner, bob, picture)

        # A viewer's hands move nothing.
        assert not await moves(alone, bob, 0.7, 0.6, seconds=2)
        await bob.keyboard.press("Control+Alt+t")
        x, y = await asyncio.to_thread(alone.pointer)
        assert abs(x - 0.3 * 1920) < 40 and abs(y - 0.4 * 1080) < 40
        await expect(bob.locator("#said")).to_be_visible()

        # Made collaborators, they work in the same desktop without doing anything.
        await team.get_by_role("button", name="As collaborators instead").click()
        # On the new page: while it is loaded nothing is there, the badge neither.
        await expect(bob.locator("#clipboard")).to_have_count(1, timeout=20_000)
        await expect(bob.locator(".badge")).to_have_count(0)
        await painted(bob)
        assert await moves(alone, bob, 0.7, 0.6)
        await open_shared(chloe)

        # Ended, bob is out at once, and the team does not let him in again; the others stay.
        assert bobs[-1]["closed"] is None
        member = alice.locator("[data-member=bob]")
        async with alice.expect_request("**/sharing/end"):
            await member.get_by_role("button", name="End").click()
        begun = time.monotonic()
        await expect(bob.locator("#notice")).to_contain_text("took you out", timeout=10_000)
        # The news may have said so first; the browser tells of the socket's end by another way.
        for _ in range(100):
            if bobs[-1]["closed"] is not None:
                break
            await asyncio.sleep(0.05)  # between two looks
        assert bobs[-1]["closed"] is not None
        # Portal, hub and session, and three browsers on the same cores; the next file measures without them.
        assert bobs[-1]["closed"] - begun < 3
        assert await asyncio.to_thread(alone.stays_out, alone.site.account("bob"))
        assert await moves(alone, chloe, 0.5, 0.5)
        assert await moves(alone, owner, 0.2, 0.2)


async def open_toolbar(page: Page) -> None:
    if await page.locator("#handle").get_attribute("aria-expanded") == "false":
        await page.locator("#handle").click()
    await expect(page.locator("#people")).to_be_visible()
    await expect(page.locator(".tools")).to_be_in_viewport(ratio=1)


async def at_rest(page: Page) -> None:
    """Wait until something new is on the desktop and has come to rest: for the picture alone."""
    look = "document.querySelector('#screen canvas').toDataURL('image/jpeg', 0.2)"
    first = last = await page.evaluate(look)
    since = begun = time.monotonic()
    while time.monotonic() < begun + 25 and (last == first or time.monotonic() < since + 2):
        await asyncio.sleep(0.3)
        if (now := await page.evaluate(look)) != last:
            last, since = now, time.monotonic()


async def beside(left: Page, right: Page, picture) -> None:
    """Both pages in one picture, for the README."""
    from PIL import Image

    for page in (left, right):
        await open_toolbar(page)
    paths = [await picture(left, "together-owner"), await picture(right, "together-viewer")]
    images = [Image.open(path) for path in paths]
    gap = 16
    whole = Image.new("RGB", (sum(one.width for one in images) + gap, images[0].height), "white")
    whole.paste(images[0], (0, 0))
    whole.paste(images[1], (images[0].width + gap, 0))
    whole.save(paths[0].with_name("together.png"))


async def test_a_link_asks_for_the_login_and_is_good_once(alone: Shared, site: RunningSite, person, browser):
    async with person("alice") as alice:
        await alice.goto(alone.sharing_page)
        form = alice.locator("#link")
        await form.locator("#link-collaborator").check(force=True)
        await form.get_by_role("button", name="Make a link").click()
        link = await alice.locator("#made-link").input_value()
    context = await browser.new_context(locale="en-GB")
    page = await context.new_page()
    await page.goto(link)
    await expect(page.get_by_text("Log in with your facility account first")).to_be_visible()
    await page.get_by_role("link", name="Log in").click()
    button = page.get_by_role("link", name="Log in").or_(page.get_by_role("button", name="Log in"))
    await button.or_(page.locator("input[type=password]")).first.wait_for()
    if not await page.locator("input[type=password]").count():
        await button.first.click()
    await page.locator("form input:not([type=password]):not([type=hidden])").first.fill("ines")
    await page.locator("input[type=password]").fill(site.account("ines").password)
    await page.locator("form [type=submit]").click()
    await page.get_by_role("button", name="Join").click()
    await expect(page.get_by_role("heading", name="You are in")).to_be_visible()
    assert alone.members() == {"ines": "collaborator"}
    await page.get_by_role("link", name="Open desktop").click()
    await painted(page)
    assert await moves(alone, page, 0.6, 0.3)
    await context.close()
    async with person("bob") as bob:
        await bob.goto(link)
        await bob.get_by_role("button", name="Join").click()
        await expect(bob.locator("#refused")).to_be_visible()
    assert alone.members() == {"ines": "collaborator"}


async def test_support_asks_the_owner_accepts_and_ends_it(alone: Shared, person, picture):
    async with person("alice") as alice, person("hugo") as hugo:
        owner = await alice.context.new_page()
        await owner.goto(f"{alone.url}desktop/")
        await painted(owner)
        await hugo.goto(f"{portal_of(hugo)}support")
        await hugo.locator("a.case[data-key='alice/together']").click()
        await hugo.locator("#message").fill("You wrote that the desktop is slow")
        await hugo.locator("input[name=role][value=collaborator]").check(force=True)
        await hugo.locator("[data-key=ask]").click()
        await expect(hugo.locator("#join")).to_contain_text("Waiting for the owner")
        card = owner.locator(".visa-stack")
        await expect(card).to_contain_text("You wrote that the desktop is slow")
        assert alone.members() == {}, "asking opens nothing"
        await card.get_by_role("button", name="Work together").click()
        await expect(owner.locator("#sign")).to_contain_text("from support may come in")
        await hugo.locator("[data-key=open]").click()
        await hugo.wait_for_url("**/desktop/**")
        helper = await painted(hugo)
        await expect(owner.locator("#sign")).to_contain_text("Lindqvist from support is controlling")
        await picture(owner, "support-banner")
        assert await moves(alone, helper, 0.4, 0.7)
        await open_toolbar(owner)
        await owner.locator("#people").click()
        await owner.get_by_role("button", name="End what Hugo Lindqvist may do here").click()
        await expect(owner.locator("#sign")).to_be_hidden()
        await expect(helper.locator("#notice")).to_contain_text("took you out")
        assert await asyncio.to_thread(alone.stays_out, alone.site.account("hugo"))
