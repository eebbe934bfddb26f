"""Several people in JupyterLab: one notebook, names that nobody can choose, what the extension shows."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import httpx
import nbformat
import pytest
from playwright.async_api import expect
from pycrdt import Awareness, Decoder, Doc, Encoder
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from demo import node

from .browser import browser, documented, picture
from .hub.session_spawner import UID
from .hubside import later, start_session, stop_session, wait_until
from .people import FULL_NAMES, Watched, at_lab, enter, let_in, member, request

HERE = Path(__file__).parent
OVERLAP = "() => document.querySelector('#visa-session-banner').getBoundingClientRect().height"


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "together", title="Steel", portal_url="/services/visa/")
    yield session
    stop_session(session)


@pytest.fixture(autouse=True)
def told(site, session):
    """A collaborator, `carl`; the hub takes what it is told."""
    site.answer()
    let_in(site, session, member("carl", "collaborator"), requests=[], notices=[], help=None, away="leave")


@pytest.fixture
async def chromium():
    async with browser() as chromium:
        yield chromium


@pytest.fixture
def home(site) -> Path:
    return site.directory / "homes" / "alice"


def new_notebook(home: Path, name: str, mode: int = 0o644, source: str = "1 + 1") -> Path:
    """A notebook of one cell in the session's home directory."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    path = home / name
    path.write_text(nbformat.writes(notebook))
    path.chmod(mode)

    os.chown(path, UID, UID)
    return path


async def open_file(page, session, path: Path):
    """Open a file in JupyterLab by its address; the editor of its first cell."""
    await page.goto(f"{session.url}lab/tree{path}?reset")
    cell = page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first
    await expect(cell).to_be_visible(timeout=60000)
    return cell


async def test_two_people_in_one_notebook_see_each_other_at_work(site, session, chromium, home):
    path = new_notebook(home, "shared.ipynb")
    watched = Watched()
    alice, carl = [await enter(chromium, session, name) for name in ("alice", "carl")]
    for page, name in ((alice, "alice"), (carl, "carl")):
        watched.watch(page, name)
    alices = await open_file(alice, session, path)
    carls = await open_file(carl, session, path)
    await carls.click()
    await carl.keyboard.press("End")
    await carl.keyboard.type("  # from Carl")
    await expect(alices).to_have_text("1 + 1  # from Carl", timeout=15000)
    # His cursor, with the facility's name for him.
    label = alice.locator(".jp-remote-userFlag-name").first
    await expect(label).to_have_text(FULL_NAMES["carl"], timeout=15000)
    await alices.click()
    await alice.keyboard.press("Control+End")
    await alice.keyboard.type("!")
    await expect(carls).to_have_text("1 + 1  # from Carl!", timeout=15000)
    await expect(carl.locator(".jp-remote-userFlag-name").first).to_have_text("Alice Owner", timeout=15000)
    await documented(alice, "inside-together")
    await picture(carl, "together-member")
    await later(wait_until, lambda: "from Carl!" in path.read_text(), 15, "it was not saved")
    await expect(carl.locator(".visa-guest")).to_have_text("This is Alice Owner's session, with their files.")
    assert not await alice.locator(".visa-guest").is_visible()
    assert watched.problems == []


async def test_alone_everything_is_as_before(session, chromium, home):
    """Saved by itself, undone, run, reloaded when changed on disk, without a question or an error."""
    path = new_notebook(home, "alone.ipynb", source="x = 6 * 7; x")
    watched = Watched()
    page = await enter(chromium, session)
    watched.watch(page, "alice")
    cell = await open_file(page, session, path)
    await cell.click()
    await page.keyboard.press("Control+End")
    await page.keyboard.type("  # note")
    await later(wait_until, lambda: "# note" in path.read_text(), 15, "it was not saved")
    await page.keyboard.press("Control+z")
    await expect(cell).to_have_text("x = 6 * 7; x")
    await page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").first
    await expect(output).to_have_text("42", timeout=60000)
    await later(wait_until, lambda: '"42"' in path.read_text().replace("'", '"'), 15, "output not saved")
    await asyncio.sleep(2)  # so that the last save is not what follows
    changed = nbformat.read(path, 4)
    changed.cells[0].source = "x = 'from disk'"
    path.write_text(nbformat.writes(changed))
    await expect(cell).to_have_text("x = 'from disk'", timeout=15000)
    await expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert watched.problems == []


async def test_what_was_typed_last_is_saved_when_the_session_stops(site, chromium, home):
    session = start_session(site, "alice", "stopped", title="Steel", portal_url="/services/visa/")
    try:
        path = new_notebook(home, "stopped.ipynb")
        page = await enter(chromium, session, "alice")
        cell = await open_file(page, session, path)
        await cell.click()
        await page.keyboard.press("End")
        await page.keyboard.type("  # the last word")
        await asyncio.sleep(0.3)  # on its way to the server, and not yet written
        assert "the last word" not in path.read_text()
    finally:
        await asyncio.to_thread(stop_session, session)
    assert "the last word" in path.read_text()


async def test_a_notebook_that_may_not_be_written_opens_without_a_word(session, chromium, home):
    """As raw data are."""
    path = new_notebook(home, "readonly.ipynb", 0o444)
    page = await enter(chromium, session)
    await open_file(page, session, path)
    await asyncio.sleep(4)
    await expect(page.locator(".jp-Dialog, .jp-Notification-Toast, .Toastify__toast")).to_have_count(0)


async def test_nothing_of_it_is_kept_in_the_home_directory(session, chromium, home):
    page = await enter(chromium, session)
    await open_file(page, session, new_notebook(home, "tidy.ipynb"))
    await asyncio.sleep(1)
    kept = {path.name for path in home.rglob("*") if "ystore" in path.name or path.suffix in (".db", ".y")}
    assert kept <= {"nbsignatures.db"}, "more than Jupyter's own signatures"
    runtime = next(
        p.environ()["JUPYTER_RUNTIME_DIR"]
        for p in session.processes()
        if p.environ().get("JUPYTER_RUNTIME_DIR")
    )
    assert (Path(runtime) / "documents.db").exists()


async def test_nobody_hands_out_a_link(session, chromium):
    for name in ("alice", "carl"):
        page = await at_lab(await enter(chromium, session, name), session)
        text = await page.inner_text("body")
        assert "Copy Shareable Link" not in text
        await expect(
            page.locator("[data-command='collaboration:shared-link'], .jp-shared-link")
        ).to_have_count(0)
        palette = page.locator(".lm-CommandPalette")
        async with asyncio.timeout(20):  # on a busy machine its shortcuts come after the launcher
            while not await palette.is_visible():
                await page.keyboard.press("Control+Shift+KeyC")
                await page.wait_for_timeout(500)
        await page.keyboard.type("shar")
        assert "link" not in (await palette.inner_text()).lower()


def test_who_one_is_comes_from_the_facility(site, session):
    told = session.get("api/me", site.person("carl")).json()["identity"]
    assert told["username"] == "carl"
    assert told["name"] == told["display_name"] == FULL_NAMES["carl"]
    assert told["initials"] == "CP"
    assert told["color"].startswith("var(--jp-collaborator-color")
    assert session.get("api/me").json()["identity"]["display_name"] == "Alice Owner"
    for body in ({"display_name": "Somebody Else"}, {"color": "red"}):
        answer = session.get("api/me", method="PATCH", json=body)
        assert answer.status_code in (400, 403), body


async def room(session, token: str = "", **headers):
    """A socket in the room in which JupyterLab says who is there."""
    address = session.url.replace("http:", "ws:") + "api/collaboration/room/JupyterLab:globalAwareness"
    if token:
        headers["Authorization"] = f"token {token}"
    return await websocket_connect(HTTPRequest(address, headers=headers, request_timeout=30))


def awareness_message(awareness: Awareness, clients: list[int]) -> bytes:
    """A message as browsers send it."""
    update = awareness.encode_awareness_update(clients)
    encoder = Encoder()
    encoder.write_var_uint(1)
    encoder.write_var_uint(len(update))
    return encoder.to_bytes() + update


async def heard(socket, awareness: Awareness, true, seconds: float = 10) -> None:
    """Read until what is known of the others is as it should be."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not true(awareness.states):
        left = deadline - asyncio.get_running_loop().time()
        message = await asyncio.wait_for(socket.read_message(), left)
        assert message is not None, "closed"
        if message[:1] == b"\1":
            decoder = Decoder(message[1:])
            awareness.apply_awareness_update(decoder.read_message(), "room")


async def test_nobody_takes_another_name_beside_a_cursor(site, session):
    """By hand-written messages: one's own state under a false name, and somebody else's state."""
    watching, own = Awareness(Doc()), Awareness(Doc())
    carl = await room(session, site.person("carl"))
    alice = await room(session, session.token)
    owners = Awareness(Doc())
    owners.set_local_state({"user": {"username": "alice", "name": "x"}, "current": "here"})
    await alice.write_message(awareness_message(owners, [owners.client_id]), binary=True)
    await heard(alice, watching, lambda states: owners.client_id in states)
    own.set_local_state(
        {"user": {"username": "alice", "name": "Alice Owner", "display_name": "Alice"}, "at": 1}
    )
    await carl.write_message(awareness_message(own, [own.client_id]), binary=True)
    await heard(alice, watching, lambda states: own.client_id in states)
    said = watching.states[own.client_id]
    assert said["at"] == 1
    assert said["user"]["username"] == "carl"
    assert said["user"]["display_name"] == FULL_NAMES["carl"]
    assert watching.states[owners.client_id]["user"]["display_name"] == "Alice Owner"
    # Carl speaks for the owner's browser: that is dropped, while what is his own comes through.
    forged = Awareness(Doc())
    forged._states[owners.client_id] = {"user": {"username": "alice"}, "current": "forged"}
    forged._meta[owners.client_id] = {"clock": 1000}
    await carl.write_message(awareness_message(forged, [owners.client_id]), binary=True)
    own.set_local_state({"user": {"username": "carl"}, "at": 2})
    await carl.write_message(awareness_message(own, [own.client_id]), binary=True)
    await heard(alice, watching, lambda states: states.get(own.client_id, {}).get("at") == 2)
    assert watching.states[owners.client_id]["current"] == "here"
    # What is no such message closes the socket, and the server lives.
    await carl.write_message(b"\1\xff\xff\xff", binary=True)
    while (message := await asyncio.wait_for(carl.read_message(), 10)) is not None:
        assert message
    assert carl.close_code == 4400
    assert session.get("api/me").status_code == 200
    alice.close()


async def test_a_page_of_another_origin_opens_no_room(session):
    """By cookie, as a browser would send it."""
    login = await later(httpx.get, f"{session.url}visa/session?token={session.token}")
    cookie = "; ".join(f"{name}={value}" for name, value in login.cookies.items())
    for origin in ("http://evil.example", session.site.url + ".evil.example", "null"):
        with pytest.raises(HTTPClientError) as refused:
            await room(session, Cookie=cookie, Origin=origin)
        assert refused.value.code == 403, origin
    ours = await room(session, Cookie=cookie, Origin=session.site.url)
    ours.close()


async def test_a_request_is_answered_in_jupyterlab_without_losing_the_keyboard(site, session, chromium, home):
    page = await enter(chromium, session)
    watched = Watched()
    watched.watch(page, "alice")
    cell = await open_file(page, session, new_notebook(home, "typing.ipynb", source=""))
    await cell.click()
    await page.keyboard.type("before")
    best = 10.0
    for attempt in range(3):
        begun = time.monotonic()
        site.tell("alice", "together", requests=[request() | {"id": f"l{attempt}"}])
        card = page.locator(f".visa-card:has(#visa-request-l{attempt})")
        await expect(card).to_be_visible()
        best = min(best, time.monotonic() - begun)
        if best < 1:
            break
    assert best < 1.0, f"the request took {best:.2f} s to appear"
    await page.keyboard.type(" and after")
    await expect(cell).to_have_text("before and after")
    await expect(card.locator("blockquote")).to_have_text("I can show you <b>how</b> to\nmask the detector.")
    await page.keyboard.press("Control+Alt+Shift+KeyM")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(card).to_have_count(0)
    await later(wait_until, lambda: site.heard(session, "/answers"), 10, "the hub did not hear it")
    assert site.heard(session, "/answers")[-1]["answer"] == "watch"
    assert watched.problems == []


async def test_jupyterlab_shows_support_notices_and_who_is_in(site, session, chromium):
    page = await at_lab(await enter(chromium, session), session)
    button = page.locator(".visa-status button")
    await expect(button).to_have_text("0 others here")
    let_in(site, session, member("carl", "collaborator"), member("sam", "collaborator", support=True))
    banner = page.locator("#visa-session-banner .visa-banner")
    await expect(banner).to_contain_text("Sam Helper from support may come in and work with you")
    await at_lab(await enter(chromium, session, "sam"), session)
    await expect(banner).to_contain_text("Sam Helper from support is controlling, until ")
    height = await page.evaluate(OVERLAP)
    top = await page.evaluate("() => document.querySelector('#jp-top-panel').getBoundingClientRect().top")
    assert 18 < height <= top + 1, "the banner is there in whole, and covers nothing"
    await expect(button).to_have_text("1 other here")
    site.tell(
        "alice", "together", notices=[{"id": "n1", "kind": "message", "words": "Hi <b>you</b>", "made": ""}]
    )
    toast = page.locator(".Toastify__toast").first
    await expect(toast).to_contain_text("Message from the facility: Hi <b>you</b>")
    await button.click()
    panel = page.locator("#visa-people")
    await expect(panel.locator("li").nth(1)).to_contain_text("Sam Helper from support")
    assert (await panel.get_by_text("Share…").get_attribute("href")).endswith("/sessions/together/sharing")
    await picture(page, "lab-people")
    await panel.locator("li").nth(1).get_by_role("button").click()
    await later(wait_until, lambda: site.heard(session, "/members/sam") != [], 10, "not heard")
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await toast.locator("button[title='Hide notification'], .jp-Toast-button, button").first.click()
    let_in(site, session, member("carl", "collaborator"))
    await expect(banner).to_be_hidden()
    out = [{"name": "vera", "full_name": "Vera Ray"}]
    let_in(site, session, member("carl", "collaborator"), put_out=out)
    await expect(page.locator(".Toastify__toast").last).to_contain_text(
        "Vera Ray may not see the data that you added, and is not in this session any more."
    )


async def test_an_end_and_a_step_down_are_said_over_jupyterlab(site, session, chromium):
    page = await at_lab(await enter(chromium, session, "carl"), session)
    await expect(page.locator(".visa-guest")).to_be_visible()
    let_in(site, session, member("carl", "viewer"))
    over = page.locator(".visa-over")
    await expect(over).to_contain_text("You can now only watch.", timeout=15000)
    await expect(over.get_by_text("Watch the desktop")).to_have_attribute("href", session.url + "desktop/")
    let_in(site, session, put_out=[{"name": "carl", "full_name": "Carl"}])
    await expect(over).to_contain_text("You are not in this session any more.", timeout=20000)
    await expect(over).to_contain_text("added data to it that you may not see.")
    assert (await over.get_by_text("My sessions").get_attribute("href")).endswith("/services/visa/")
    await expect(over).to_contain_text("This page has stopped asking")
    await picture(page, "lab-ended")
    let_in(site, session, member("carl", "collaborator"), put_out=[])
    await over.get_by_role("button", name="Try now").click()
    await expect(over).to_have_count(0, timeout=30000)


WINDOWS = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


@pytest.mark.parametrize("kind", WINDOWS)
async def test_axe_finds_nothing_in_what_we_added(site, session, chromium, kind):
    axe = (node.install(HERE.parent / "axe") / "axe-core" / "axe.min.js").read_text()
    answer = session.get(
        "lab/api/settings/@jupyterlab/apputils-extension:themes",
        method="PUT",
        json={"raw": json.dumps({"theme": WINDOWS[kind]})},
    )
    assert answer.status_code == 204, answer.text
    page = await at_lab(await enter(chromium, session, width=420 if kind == "dark" else 1280), session)
    let_in(site, session, member("sam", "viewer", support=True), member("carl", "collaborator"))
    site.tell("alice", "together", requests=[request()])
    await expect(page.locator(".visa-requests .visa-card")).to_be_visible()
    await page.locator(".visa-status button").click()
    await asyncio.sleep(0.4)
    await picture(page, f"lab-{kind}")
    width = page.viewport_size["width"]
    for selector in (".visa-requests .visa-card", "#visa-people", "#visa-session-banner .visa-banner"):
        box = await page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector
    await page.evaluate(axe)
    ours = "axe.run({include: [['.visa-lab'], ['.visa-status']]}, {resultTypes: ['violations']})"
    problems = (await page.evaluate(ours))["violations"]
    assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in problems] == []
