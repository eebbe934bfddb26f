"""The people of these tests: who is in a session, and their browsers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.async_api import Browser, Page

from tests.chromium import is_complaint

from .browser import log_in, painted
from .hubside import Session, Site, new_table

FULL_NAMES = {
    "alice": "Alice Owner",
    "carl": "Carl \u0141ucasz Person",
    "vera": "Vera <i>Viewer</i>",
    "sam": "Sam Helper",
}


def moment(minutes: float) -> str:
    """That many minutes from now, as the hub writes times."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def member(name: str, role: str, support: bool = False) -> dict:
    """An entry of the hub's table; support is let in for two hours."""
    until = moment(115) if support else None
    entry = {"name": name, "full_name": FULL_NAMES[name], "role": role, "support": support}
    return entry | {"since": moment(-5), "until": until}


def request(role: str = "collaborator", minutes: float = 5) -> dict:
    """Support's request to join."""
    entry = {"id": "r1", "name": "sam", "full_name": FULL_NAMES["sam"], "role": role}
    entry["message"] = "I can show you <b>how</b> to\nmask the detector."
    return entry | {"made": moment(0), "lapses": moment(minutes)}


def let_in(site: Site, session: Session, *members: dict, **others) -> None:
    """Say who is in a session; `others` are more of the table."""
    for entry in members:
        control = entry["role"] == "collaborator"
        site.person(entry["name"])
        site.share(session.owner, session.name, entry["name"], control=control)
    table = site.tables.setdefault(f"{session.owner}/{session.name}", new_table())
    table["owner"] = {"name": session.owner, "full_name": FULL_NAMES[session.owner]}
    site.tell(session.owner, session.name, members=list(members), **others)


class Watched:
    """What a browser complains of on some pages."""

    def __init__(self):
        self.problems: list[str] = []

    def watch(self, page: Page, who: str) -> None:
        def heard(message):
            if is_complaint(message):
                self.problems.append(f"{who}: {message.text}")

        page.on("console", heard)
        page.on("pageerror", lambda error: self.problems.append(f"{who}: {error}"))


async def enter(
    chromium: Browser, session: Session, name: str = "alice", width=1280, height=800, **window
) -> Page:
    """A browser of somebody who is logged in at the hub and in the session."""
    context = await chromium.new_context(viewport={"width": width, "height": height}, **window)
    page = await log_in(context, session, name)
    if name != session.owner:
        await page.goto(f"{session.url}visa/session?token={session.site.person(name)}")
    return page


async def at_desktop(page: Page, session: Session) -> Page:
    """The desktop's page, with a picture."""
    await page.goto(session.url + "desktop/")
    await painted(page)
    return page


async def at_lab(page: Page, session: Session) -> Page:
    """JupyterLab, with its launcher."""
    await page.goto(session.url + "lab?reset")
    await page.locator(".jp-LauncherCard", has_text="Python 3").first.wait_for(timeout=60000)
    return page
