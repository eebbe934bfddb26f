"""Data that come and go while a session runs: everything in it that names them follows the hub's word."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from visa_session.contract import ExperimentInfo, SessionInfo
from visa_session.live import LiveInfo
from visa_session.members import Table
from visa_session.xfce import follow_experiments

from .browser import browser, picture
from .hubside import new_table, start_session, stop_session, wait_until
from .people import at_desktop, at_lab, enter, let_in, moment

READER = {"locale": "en-GB", "timezone_id": "Europe/Paris"}
PAGE = "/services/visa/sessions/data/data"
ONE = {"id": "A-1", "title": "Steel", "instrument": "id19", "raw": "/data/a1/raw"}
OTHER = {"id": "B-2", "title": "Bone", "instrument": "id17", "raw": "/srv/b2/raw", "processed": ""}
OTHER |= {"datasets": [{"id": "d1", "name": "scan", "path": "scan"}]}


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "data", title="Steel under load", portal_url="/services/visa/")
    yield session
    stop_session(session)


@pytest.fixture(autouse=True)
def told(site, session):
    site.answer()
    let_in(site, session, requests=[], notices=[], help=None, away="leave", ends=moment(600), may_extend=0)
    site.tell("alice", "data", experiments=[ONE])
    wait_until(lambda: ids(session) == ["A-1"])


def about(session):
    return session.get("visa/session", session.token).json()


def ids(session):
    return [one["id"] for one in about(session)["experiments"]]


def top(session):
    answer = session.get("api/contents", session.token)
    return {entry["name"] for entry in answer.json()["content"]}


def test_what_names_the_data_follows(site, session):
    assert "srv" not in top(session)
    site.tell("alice", "data", experiments=[ONE, OTHER])
    wait_until(lambda: ids(session) == ["A-1", "B-2"])
    assert about(session)["experiments"][1]["datasets"] == [
        {"id": "d1", "name": "scan", "path": "/srv/b2/raw/scan"}
    ]
    assert "srv" in top(session)
    site.tell("alice", "data", experiments=[ONE])
    wait_until(lambda: ids(session) == ["A-1"])
    assert "srv" not in top(session)
    # What is not clear changes nothing, and costs nobody their membership.
    site.tell("alice", "data", experiments=[7], away="view-only")
    site.tell("alice", "data", experiments=[ONE, OTHER], away="leave")
    wait_until(lambda: ids(session) == ["A-1", "B-2"])


def test_a_hub_that_says_nothing_of_data_changes_nothing():
    info = LiveInfo(SessionInfo("alice", "x", experiments=(ExperimentInfo("A-1"),)))
    changes = []
    info.watch(lambda: changes.append(info.experiments))
    info.follow(Table.read(new_table()).experiments)
    assert info.experiments == (ExperimentInfo("A-1"),)
    info.follow(Table.read(new_table() | {"experiments": [{"id": "B-2", "new": 1}]}).experiments)
    info.follow(Table.read(new_table() | {"experiments": [{"id": "B-2"}]}).experiments)
    assert changes == [(ExperimentInfo("B-2"),)]
    assert (info.owner, info.key) == ("alice", "alice/x")


def test_the_desktops_icons_follow(tmp_path):
    for name in ("experiment-A-1.desktop", "00-silx.desktop"):
        (tmp_path / name).touch()
    follow_experiments(SessionInfo("alice", "x", experiments=(ExperimentInfo("B-2"),)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"00-silx.desktop", "experiment-B-2.desktop"}
    follow_experiments(SessionInfo("alice", "x"), tmp_path / "not there yet")


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


async def test_the_owner_finds_the_way_from_inside_and_is_told(site, session, chromium):
    page = await at_lab(await enter(chromium, session, **READER), session)
    site.tell("alice", "data", experiments=[ONE, OTHER])
    await expect(page.get_by_text("The data of B-2 are here now, in /experiments/B-2.")).to_be_visible()
    site.tell("alice", "data", experiments=[OTHER])
    await expect(page.get_by_text("The data of A-1 were taken away.")).to_be_visible()
    await page.get_by_role("menuitem", name="File", exact=True).click()
    await picture(page, "add-data-lab")
    async with page.context.expect_page() as opened:
        await page.get_by_role("menuitem", name="Session: add data…").click()
    assert (await opened.value).url.endswith(PAGE)
    desktop = await at_desktop(page, session)
    await desktop.get_by_role("button", name=re.compile("Steel under load")).click()
    link = desktop.get_by_role("link", name="Add data…")
    assert await link.get_attribute("href") == PAGE
    await picture(desktop, "add-data-desktop")
    await desktop.get_by_role("link", name="My sessions").focus()
    await desktop.keyboard.press("Shift+Tab")
    await expect(link).to_be_focused()
