"""The profile's applications: listed, shown as tiles, started on the session's desktop."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from . import display
from .browser import browser, log_in, painted, picture
from .hubside import Session, later, start_session, stop_session, wait_until

ICON = '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48"><circle cx="24" cy="24" r="20"/></svg>'
ENTRIES = {
    "rings": 'Name=Ring finder\nComment=Finds rings\nExec=xev -name "Rings %%c" %F\nIcon=rings',
    "terminal": 'Name=In a terminal\nExec=sh -c "echo in it; sleep 100"\nTerminal=true\nIcon=/etc/hostname',
    "broken": "Name=Broken\nExec=sh -c \"echo first; echo 'secret \\\\033[1mreason' >&2; exit 3\"",
    "gone": "Name=Gone\nExec=no-such-program",
    "needy": "Name=Needy\nExec=xev\nTryExec=no-such-program",
    "wrong": "Name=Wrong\nExec=xev %z",
    "unlisted": "Name=Unlisted\nExec=xev -name Unlisted",
}
#: How wide the picture is that an <image> shows.
SHOWN = """async (image) => {
  const same = new Image();
  same.src = image.getAttribute("href");
  await same.decode();
  return same.naturalWidth;
}"""
APPLICATIONS = ("rings", "terminal", "missing", "broken", "gone", "needy", "wrong")


@pytest.fixture(scope="module")
def session(site):
    """A session with applications of ours beside the machine's own, on a desktop that is not up."""
    data = site.directory / "share"
    (data / "applications").mkdir(parents=True)
    (data / "pixmaps").mkdir()
    (data / "pixmaps/rings.svg").write_text(ICON)
    for name, text in ENTRIES.items():
        (data / f"applications/{name}.desktop").write_text(f"[Desktop Entry]\nType=Application\n{text}\n")
    environment = {"XDG_DATA_DIRS": f"{data}:/usr/local/share:/usr/share"}
    session = start_session(site, "alice", "apps", environment, applications=APPLICATIONS)
    yield session
    stop_session(session)


def start(session: Session, name: str, token: str | None = None) -> httpx.Response:
    return session.get(f"visa/applications/{name}", token, "POST")


def windows(session: Session, name: str) -> list[str]:
    """The windows of that name which a person sees."""
    env = display.x_environment(session) | {"PATH": "/usr/bin:/bin", "HOME": "/"}
    command = ["xdotool", "search", "--onlyvisible", "--name", f"^{name}$"]
    done = subprocess.run(
        command, env=env, user=display.UID, group=display.UID, capture_output=True, text=True
    )
    return done.stdout.split()


def test_they_are_listed_in_the_order_of_the_profile_without_what_is_not_installed(session):
    listed = session.get("visa/applications").json()["applications"]
    assert [one["name"] for one in listed] == ["rings", "terminal", "broken", "gone"]
    icon = f"{session.path}visa/applications/rings/icon"
    assert listed[0] == {"name": "rings", "title": "Ring finder", "comment": "Finds rings", "icon": icon}


def test_one_is_started_on_the_desktop_as_often_as_it_is_asked_for(session):
    """The first start brings the desktop up; each window is where people see it, below the panel."""
    for count in (1, 2):
        assert start(session, "rings").status_code == 204
        wait_until(lambda: len(windows(session, "Rings %c")) == count, 5, "no window")  # noqa: B023
    for window in windows(session, "Rings %c"):
        place = dict(
            line.split("=")
            for line in display.run(session, "xdotool", "getwindowgeometry", "--shell", window).split()
        )
        assert int(place["Y"]) >= 30, place
    own = next(process for process in session.processes() if process.name() == "xev").environ()
    icons = next(process for process in session.processes() if process.name() == "xfdesktop").environ()
    assert own["DBUS_SESSION_BUS_ADDRESS"] == icons["DBUS_SESSION_BUS_ADDRESS"]
    assert own["XDG_CONFIG_DIRS"] == icons["XDG_CONFIG_DIRS"]
    assert "XDG_CONFIG_HOME" not in own, "it keeps its settings at home"


def test_one_for_a_terminal_gets_one(session):
    assert start(session, "terminal").status_code == 204
    wait_until(lambda: windows(session, "In a terminal"), 5, "no terminal")


def test_a_failed_start_is_told_with_its_last_words_and_not_in_the_log(session):
    answer = start(session, "broken")
    assert answer.status_code == 503
    told = answer.json()
    assert told["message"] == "Broken ended at once with an error (exit code 3)."
    assert told["lines"] == ["first", "secret reason"]
    assert "reason" not in session.log, "staff read it"
    answer = start(session, "gone")
    assert answer.status_code == 503
    assert (
        answer.json()["message"] == "Gone could not be started: no-such-program: No such file or directory."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "missing is not installed in this session's image."),
        ("needy", "Needy is not installed in this session's image: no-such-program is missing."),
        (
            "wrong",
            "wrong cannot be started: its desktop entry is wrong, its command has %z, which means nothing.",
        ),
        ("unlisted", "This session's profile has no such application."),
        ("x%2F..%2Frings", "This session's profile has no such application."),
    ],
)
def test_what_is_not_there_is_said_in_words(session, name, words):
    for answer in (start(session, name), session.get(f"visa/applications/{name}/icon")):
        assert answer.status_code == 404
        assert answer.json()["message"] == words


def test_icons_come_from_the_image_alone(session):
    icon = session.get("visa/applications/rings/icon")
    assert icon.text == ICON
    assert icon.headers["Content-Type"] == "image/svg+xml"
    assert icon.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in icon.headers["Content-Security-Policy"]
    plain = session.get("visa/applications/terminal/icon")
    assert plain.status_code == 200 and plain.text.startswith("<svg")
    assert Path("/etc/hostname").read_text() not in plain.text


def test_a_collaborator_starts_them_and_a_viewer_does_not(session, site):
    tokens = {name: site.person(name) for name in ("carl", "vera")}
    site.share("alice", "apps", "carl", control=True)
    site.share("alice", "apps", "vera")
    wait_until(lambda: all(session.get("visa/session", t).status_code == 200 for t in tokens.values()), 5)
    assert session.get("visa/applications", tokens["carl"]).status_code == 200
    assert session.get("visa/applications/rings/icon", tokens["carl"]).status_code == 200
    assert start(session, "rings", tokens["carl"]).status_code == 204
    assert start(session, "rings", tokens["vera"]).status_code == 403
    for path in ("visa/applications", "visa/applications/rings/icon"):
        assert session.get(path, tokens["vera"]).status_code == 403
    assert start(session, "rings", "").status_code == 403


async def test_a_tile_starts_it_by_keyboard_and_the_desktop_opens(session):
    async with browser() as chromium:
        context = await chromium.new_context(viewport={"width": 1400, "height": 1000})
        page = await log_in(context, session)
        await page.goto(session.url + "lab?reset")
        section = page.locator(".jp-Launcher-section", has_text="Applications")
        await expect(section.locator(".jp-LauncherCard")).to_have_count(4, timeout=60000)
        titles = await section.locator(".jp-LauncherCard-label").all_inner_texts()
        assert [title.strip() for title in titles] == ["Ring finder", "In a terminal", "Broken", "Gone"]
        images = section.locator(".jp-LauncherCard svg image")
        await expect(images).to_have_count(4)
        for image in await images.all():
            assert await image.evaluate(SHOWN) > 0
        await picture(page, "applications")
        before = len(await later(windows, session, "Rings %c"))
        tile = section.locator(".jp-LauncherCard").first
        await expect(tile).to_have_attribute("title", "Finds rings")
        await tile.focus()
        await page.keyboard.press("Enter")
        frame = await (await page.wait_for_selector("iframe")).content_frame()
        await frame.wait_for_url("**/desktop/")
        await painted(frame)
        await later(wait_until, lambda: len(windows(session, "Rings %c")) == before + 1, 10, "no window")
        await picture(page, "application-started")
        # From a second launcher: the same tab of the desktop, and words for what does not start.
        await page.locator("[data-command='launcher:create']").first.click()
        await section.last.locator(".jp-LauncherCard", has_text="Broken").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Broken did not start", timeout=10000)
        await expect(dialog.locator("pre")).to_have_text("first\nsecret reason")
        await picture(page, "application-failed")
        assert await page.locator("iframe").count() == 1
        await context.close()
