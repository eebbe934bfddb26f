"""The pages of sharing, drawn: for people to look at, and for docs/users/sharing.md."""

from contextlib import contextmanager

from portal_pictures import visiting
from portal_sharing import call, comes, let_in
from portal_support import RESULTS

TAKEN = RESULTS / "pictures"


def take(page, name: str, part: str = "", height: int = 0) -> None:
    """A picture for the documentation: the page, or a part of it."""
    TAKEN.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    if part:
        page.locator(part).screenshot(path=TAKEN / f"{name}.png", animations="disabled")
        return
    clip = {"x": 0, "y": 0, "width": 1280, "height": height} if height else None
    page.screenshot(path=TAKEN / f"{name}.png", animations="disabled", full_page=True, clip=clip)


@contextmanager
def looking(site, chromium, who="alice", **context):
    with visiting(site, chromium, who, locale="en-GB", timezone_id="Europe/Paris", **context) as visitor:
        yield visitor, visitor.page


def test_sharing_drawn(work, chromium):
    let_in(work, "carol", "collaborator")
    comes(work, "carol", "collaborator")
    let_in(work, "o'neill")
    with looking(work, chromium) as (visitor, page):
        visitor.go("sessions/tooth/sharing")
        visitor.picture("sharing")
        take(page, "sharing")
        page.get_by_role("button", name="Make a link").click()
        page.locator("#made").wait_for()
        # Not one that anybody could try.
        page.evaluate("document.getElementById('made-link').value = 'https://visa.example.org/…/join#dR3Kw…'")
        visitor.picture("sharing-link")
        take(page, "link", "#made")
        page.get_by_label("Account name, exactly").fill("bob")
        page.get_by_role("button", name="Let in", exact=True).click()
        page.get_by_role("heading", name="Let bob watch all the same?").wait_for()
        visitor.picture("despite")
        visitor.go("sessions/tooth/help")
        visitor.picture("help")
        visitor.complaints = [one for one in visitor.complaints if "404" not in one]


def test_support_and_history_drawn(work, chromium):
    words = "You wrote that the reconstruction stops. Shall we look at it together?"
    body = {"role": "collaborator", "message": words}
    let_in(work, "carol", "collaborator")
    comes(work, "carol", "collaborator")
    call(work, "heidi", "POST", "visa/support/alice/tooth/ask", json=body)
    told = {"words": "Node n3 stops for maintenance at 18:00; please save your work."}
    call(work, "adam", "POST", "visa/admin/sessions/alice/tooth/message", json=told)
    with looking(work, chromium) as (visitor, page):
        page.locator(".asking").wait_for()
        visitor.picture("asked")
        take(page, "support-asks", "#session-tooth")
        page.get_by_role("button", name="Work together").click()
        page.locator(".banner").wait_for()
        visitor.picture("support-inside")
        visitor.go("history")
        visitor.picture("history")
        take(page, "history", height=900)
        page.get_by_role("button", name="Dismiss").click()


def test_members_pages_drawn(work, chromium):
    body = {"role": "viewer", "hours": 1, "uses": 1}
    link = call(work, "alice", "POST", "visa/sharing/alice/tooth/links", json=body).json()
    with looking(work, chromium, "carol") as (visitor, page):
        page.goto(f"{work.url}join#{link['code']}")
        page.get_by_role("button", name="Join").wait_for()
        visitor.picture("join")
        take(page, "join", "#join")
        page.get_by_role("button", name="Join").click()
        page.get_by_text("invites you to").wait_for()
        visitor.picture("joined")
        visitor.go("")
        visitor.picture("shared")
        take(page, "shared-with-me", "#shared .tile")
