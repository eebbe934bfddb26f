"""A session that is suspended and resumed on its tile: in words, without a script, by keyboard."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect
from portal_pictures import visiting
from portal_sharing import call, here, let_in
from portal_support import hidden
from test_portal_http import soup

from demo import node

expect.set_options(timeout=20_000)


@pytest.fixture(autouse=True)
def as_it_was(working):
    with working.held("suspendable"):
        yield
    call(working, "alice", "POST", "visa/sessions/alice/tooth/resume")
    assert state(working) == "running"


def state(site):
    return call(site, "alice", "GET", "visa/sessions").json()["sessions"][0]["state"]


def tile(client, site):
    return soup(client.get(site.url)).select_one("#session-tooth")


def send(client, site, what, **form):
    headers = {"Origin": site.origin, "Sec-Fetch-Site": "same-origin"}
    return client.post(f"{site.url}sessions/tooth/{what}", data=form, headers=headers)


def test_suspended_and_resumed_without_a_script(working):
    with closing(working.client("alice")) as client:
        link = tile(client, working).select_one("a[data-do=suspend]")
        asked = client.get(working.origin + link["href"])
        assert "Suspend this session?" in asked.text and "Let it run" in asked.text
        assert soup(asked).select_one("main form .button")["class"] == ["button", "primary"]
        token = {"_xsrf": hidden(asked.text, "_xsrf")}
        assert send(client, working, "suspend").status_code == 403
        assert state(working) == "running"
        assert send(client, working, "suspend", **token).status_code == 200
        found = tile(client, working)
        assert (found["data-state"], found.select_one(".state").text) == ("suspended", "Suspended")
        assert "until you resume it" in found.text
        offered = {one["data-do"] for one in found.select("[data-do]")}
        assert {"resume", "stop", "delete", "extend", "share"} <= offered
        assert not offered & {"suspend", "desktop", "lab", "start"}
        assert send(client, working, "suspend", **token).status_code == 409
        # Where its start was watched leads to the tile, which says why, and not into what does not answer.
        watched = client.get(f"{working.url}sessions/tooth/starting", follow_redirects=False)
        assert watched.status_code == 302
        assert watched.headers["Location"].endswith("#session-tooth")
        with working.held("full"):
            answer = send(client, working, "resume", **token)
            assert (answer.status_code, "no room for it to go on now" in answer.text) == (503, True)
        assert send(client, working, "resume", **token).status_code == 200
        found = tile(client, working)
        assert found["data-state"] == "running" and found.select_one("a[data-do=desktop]")


def test_not_offered_where_it_cannot_be_and_to_nobody_else(working):
    (working.folder / "marks" / "suspendable").unlink()
    with closing(working.client("alice")) as client:
        assert not tile(client, working).select_one("[data-do=suspend]")
        token = hidden(client.get(f"{working.url}sessions/tooth/suspend").text, "_xsrf")
        answer = send(client, working, "suspend", _xsrf=token)
        assert (answer.status_code, "cannot be suspended" in answer.text) == (409, True)
    with closing(working.client("carol")) as client:
        token = soup(client.get(working.url)).body["data-xsrf"]
        for what in ("suspend", "resume"):
            assert send(client, working, what, _xsrf=token).status_code == 404


def test_by_keyboard_alone_and_drawn(working, chromium):
    with visiting(working, chromium, bypass_csp=True) as visitor:
        page = visitor.page
        page.locator("#session-tooth a[data-do=suspend]").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Its time goes on")
        dialog.get_by_role("button", name="Suspend").focus()
        page.keyboard.press("Enter")
        tile = page.locator("#session-tooth")
        expect(tile.locator(".state")).to_have_text("Suspended")
        visitor.picture("suspended")
        axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
        page.evaluate(axe)
        problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert not problems, [(one["id"], one["nodes"][0]["html"]) for one in problems]
        tile.get_by_role("button", name="Resume").focus()
        page.keyboard.press("Enter")
        expect(tile.locator(".state")).to_have_text("Running")


def test_opened_by_its_address_it_says_so_and_opens_by_itself(working, chromium):
    address = f"http://alice.localhost:{working.public}/user/alice/tooth/lab"
    here(working, "dalal")
    let_in(working, "dalal")
    with visiting(working, chromium, bypass_csp=True) as visitor, closing(working.client("dalal")) as member:
        assert call(working, "alice", "POST", "visa/sessions/alice/tooth/suspend").status_code == 200
        page = visitor.page
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("This session is suspended")
        expect(page.locator("main")).to_contain_text("it stands still until you resume it")
        visitor.picture("opened-suspended")
        axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
        page.evaluate(axe)
        problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        # It comes back by itself, and the hub's own pages have no script that could ask.
        problems = [one for one in problems if one["id"] != "meta-refresh"]
        assert not problems, [(one["id"], one["nodes"][0]["html"]) for one in problems]
        mine = page.get_by_role("link", name="My sessions")
        assert mine.get_attribute("href") == f"{working.url}#session-tooth"
        answer = member.get(address)
        assert answer.status_code == 503 and "It can be opened when it goes on" in answer.text
        assert "Resume it" not in answer.text and "until you resume it" not in answer.text
        assert call(working, "alice", "POST", "visa/sessions/alice/tooth/resume").status_code == 200
        expect(page.get_by_role("heading", name="/user/alice/tooth/lab")).to_be_visible()
        visitor.complaints.clear()  # that it was answered with 503 is one
