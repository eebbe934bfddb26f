"""The desktop's video stream: who sees it, that nobody does more than see, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import httpx
import psutil
import pytest
from tornado.httpclient import HTTPClientError

from visa_session.contract import SessionInfo
from visa_session.stream import messages, process, viewers
from visa_session.stream.viewers import CARRIER, PROTOCOL, carried

from . import display
from .hub.session_spawner import UID
from .hubside import later, wait_until
from .test_stream import becomes, clipboard
from .viewer import Closed, Viewer
from .watcher import HOSTILE, Watcher


@pytest.fixture
def desk(shared_session, site):
    """A session with a viewer `vera` and a collaborator `carl`."""
    people = {name: site.person(name) for name in ("vera", "carl", "stranger")}
    site.share("alice", shared_session.name, "vera")
    site.share("alice", shared_session.name, "carl", control=True)
    shared_session.people = people
    return shared_session


def selkies_of(session) -> list[psutil.Process]:
    """The stream's processes."""
    return [one for one in session.processes() if "visa_session.stream.launch" in one.cmdline()]


async def state_of(desk) -> tuple:
    """What a hostile message could change: pointer, size, density, keyboard, clipboard."""
    keys = await later(display.run, desk, "xmodmap", "-pke")
    density = await later(display.run, desk, "xrdb", "-query")
    shape = await later(display.run, desk, "xrandr", "--query")
    return (await later(display.pointer, desk), shape, density, keys, await later(clipboard, desk))


async def test_everybody_in_the_session_sees_it_and_nobody_else(desk):
    watchers = [
        await Watcher.connect(desk, token) for token in (None, *map(desk.people.get, ("vera", "carl")))
    ]
    for watcher in watchers:
        await watcher.sees()
        assert [text for text in watcher.texts if messages.to_browser(text) is None] == []
    assert len(await later(selkies_of, desk)) == 1, "one process for all of them"
    with pytest.raises(HTTPClientError) as refused:
        await Watcher.connect(desk, desk.people["stranger"])
    assert refused.value.code == 403
    for name in ("vera", "carl"):
        answer = await later(desk.get, "visa/stream", desk.people[name])
        assert answer.json() == {"offered": True, "why": ""}
    assert (await later(desk.get, "visa/stream", desk.people["stranger"])).status_code == 403
    # In several windows, and not in so many that others have none.
    watchers += [await Watcher.connect(desk, desk.people["vera"]) for _ in range(viewers.EACH - 1)]
    await watchers[-1].sees()
    assert (await (await Watcher.connect(desk, desk.people["vera"])).closed()).code == 4503
    for watcher in watchers:
        watcher.close()


async def test_a_page_of_elsewhere_gets_no_pictures(desk):
    login = await later(httpx.get, f"{desk.url}visa/session?token={desk.token}")
    cookie = "; ".join(f"{name}={value}" for name, value in login.cookies.items())
    for origin in ("http://evil.example", desk.site.url + ".evil.example", "null"):
        with pytest.raises(HTTPClientError) as refused:
            await Watcher.connect(desk, token="", Cookie=cookie, Origin=origin)
        assert refused.value.code == 403, origin
    ours = await Watcher.connect(desk, token="", Cookie=cookie, Origin=desk.site.url)
    await ours.sees()
    ours.close()


async def test_whatever_is_written_by_hand_changes_nothing(desk):
    """By a viewer, and by the owner, whose mouse and keyboard are VNC's matter too."""
    owner = await Viewer.open(desk)
    owner.point(600, 500)
    await becomes(lambda: display.pointer(desk), (600, 500))
    await later(clipboard, desk, "not for the stream")
    before = await state_of(desk)
    keys = await later(display.Keys, desk)
    try:
        for token in (desk.people["vera"], None):
            watcher = await Watcher.connect(desk, token)
            await watcher.sees()
            for message in HOSTILE:
                watcher.say(message)
            await watcher.sees_when_asked()
            assert [text for text in watcher.texts if messages.to_browser(text) is None] == []
            watcher.say(b"\x02" + bytes(64))  # a microphone
            assert (await watcher.closed()).code == 4400
        assert keys.letters() == ""
        owner.key("o")
        await becomes(keys.letters, "o")
    finally:
        keys.close()
    assert await state_of(desk) == before
    assert not Path("/tmp/visa-stream-cmd").exists()
    owner.close()


@pytest.fixture
async def camera(desk, tmp_path, monkeypatch):
    """A stream process of the test's own on the session's display: its master token is at hand here."""
    (await Viewer.open(desk)).close()
    for name, value in (await later(display.x_environment, desk)).items():
        monkeypatch.setenv(name, value)
    desktop = SimpleNamespace(directory=tmp_path / "desktop", start=lambda: None, state="running", words="")
    desktop.settled = threading.Event()
    desktop.settled.set()
    camera = process.StreamProcess(SessionInfo(owner="alice", name="x"), desktop)
    yield camera
    await camera.stop()


async def test_selkies_itself_holds_everybody_to_watching(desk, camera):
    """Past the relay, with a viewer's token: were the relay wrong, it would hold; and with one to control."""
    owner = await Viewer.open(desk)
    owner.point(600, 500)
    await becomes(lambda: display.pointer(desk), (600, 500))
    await later(clipboard, desk, "not for the stream")
    async with (
        camera.watched(),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(camera.socket))) as http,
    ):
        base, master = "http://stream/api/", {"Authorization": f"Bearer {camera.token}"}
        table = {"to-watch": {"role": "viewer"}, "to-control": {"role": "controller"}}
        assert (await http.post(base + "tokens", json=table)).status == 401, "not without the master token"
        assert (await http.post(base + "tokens", json=table, headers=master)).status == 200
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(base + "websockets")
        before = await state_of(desk)
        keys = await later(display.Keys, desk)
        try:
            for token in table:
                protocols = (PROTOCOL, CARRIER + carried(token))
                async with http.ws_connect(
                    base + "websockets", protocols=protocols, max_msg_size=2**23
                ) as one:
                    await one.send_str(messages.SETTINGS)
                    assert table[token]["role"] in (await one.receive_str(timeout=10)), "it is taken as that"
                    for message in HOSTILE:
                        await one.send_str(message)
                    await asyncio.sleep(0.5)  # nothing says when it has looked at all of them
                bearer = {"Authorization": f"Bearer {token}"}
                for method, path in (
                    ("POST", "tokens"),
                    ("POST", "switch"),
                    ("POST", "upload"),
                    ("POST", "recording"),
                    ("GET", "files/../token"),
                    ("GET", "apps/metadata.yml"),
                    ("GET", "print/x"),
                ):
                    body = {"mode": "webrtc"} if path == "switch" else {}
                    async with http.request(method, base + path, json=body, headers=bearer) as answer:
                        assert answer.status >= 400, (token, method, path, answer.status)
                assert keys.letters() == "", token
                assert await state_of(desk) == before, token
            # The same by VNC, which would have been seen.
            owner.point(11, 22)
            owner.key("o")
            await becomes(keys.letters, "o")
        finally:
            keys.close()
    await becomes(lambda: display.pointer(desk), (11, 22))
    await later(clipboard, desk, "mine")
    changed = [was != now for was, now in zip(before, await state_of(desk), strict=True)]
    assert changed == [True, False, False, False, True], "pointer and clipboard"
    owner.close()
    assert not Path("/tmp/visa-stream-cmd").exists()
    log = "\n".join(camera.last_lines(1000))
    assert "DENIED unauthorized message from viewer" in log
    assert CARRIER not in log


async def test_nobody_finds_its_tokens(desk):
    watcher = await Watcher.connect(desk)
    await watcher.sees()
    [selkies] = await later(selkies_of, desk)
    told = Path(f"/proc/{selkies.pid}/environ").read_text() + " ".join(selkies.cmdline())
    assert "TOKEN" not in told.upper()
    # What the account itself may read of it, from a terminal: nothing.
    read = "import sys; open(sys.argv[1] + '/environ').read()"
    command = ["/usr/bin/python3", "-c", read, f"/proc/{selkies.pid}"]
    person = {"user": UID, "group": UID, "extra_groups": []}
    done = await later(subprocess.run, command, **person, capture_output=True, text=True)
    assert "PermissionError" in done.stderr
    private = Path((await later(display.x_environment, desk))["XAUTHORITY"]).parents[1]
    assert (private / "stream").stat().st_mode & 0o777 == 0o700
    listening = [one for one in selkies.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert listening == [], "a unix socket and no port"
    assert selkies.nice() == min(19, selkies.parent().nice() + 5)
    assert f" {process.MEMORY} " in Path(f"/proc/{selkies.pid}/limits").read_text()
    watcher.close()


async def test_a_token_is_worthless_once_its_connection_is_over(camera):
    people = viewers.Viewers(camera)
    async with camera.watched():
        async with people.connected():
            [token] = people._tokens
        assert people._tokens == {}
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(camera.socket))) as http:
            protocols = (PROTOCOL, CARRIER + carried(token))
            async with http.ws_connect("http://stream/api/websockets", protocols=protocols) as one:
                answer = await one.receive()
                assert (answer.type, answer.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_who_goes_while_it_comes_up_takes_it_from_nobody(camera):
    async def watch():
        async with camera.watched():
            pass

    first = asyncio.create_task(watch())
    async with asyncio.timeout(20):
        while camera._process is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)  # it takes a hundred times as long until its socket is there
    assert not camera.socket.exists()
    first.cancel()
    await asyncio.wait([first])
    async with camera.watched():
        assert camera.socket.exists()


#: Draws noise over most of the screen, as fast as it can.
NOISE = """
import os
from selkies.Xlib import X, display
screen = display.Display()
root = screen.screen()
window = root.root.create_window(0, 0, 1600, 900, 0, root.root_depth, override_redirect=1)
window.map()
pen = window.create_gc()
while True:
    for top in range(0, 900, 20):
        window.put_image(pen, 0, top, 1600, 20, X.ZPixmap, 24, 0, os.urandom(1600 * 20 * 4))
    screen.sync()
"""


@pytest.fixture
async def noise(desk):
    """Something on the desktop that moves as fast as it can."""
    (await Viewer.open(desk)).close()
    environment = await later(display.x_environment, desk)
    person = {"user": UID, "group": UID, "extra_groups": []}
    process = subprocess.Popen([sys.executable, "-c", NOISE], env=environment, **person)
    yield
    process.kill()
    process.wait()


async def test_a_reader_who_does_not_read_costs_no_memory_and_holds_nobody_up(desk, noise):
    good = await Watcher.connect(desk)
    await good.sees()
    [selkies] = await later(selkies_of, desk)
    server = selkies.parent()
    address = urlsplit(desk.direct + "visa/stream/socket")
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=4096)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        hello = f"GET {address.path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {desk.token}\r\n"
        hello += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(f"{hello}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        assert b" 101 " in await reader.readline()
        # Until the encoder has all that it will ever want.
        while good.bytes < 6e6:
            await good.sees(5)
        before, seen = [one.memory_info().rss for one in (server, selkies)], good.bytes
        while good.bytes < seen + 16e6:
            await good.sees(5)
        grown = [one.memory_info().rss - was for one, was in zip((server, selkies), before, strict=True)]
        assert max(grown) < 12e6, grown
    finally:
        writer.close()
    good.close()


async def test_a_ping_goes_to_the_browser_and_is_answered_by_nobody_before_it(desk, noise):
    """selkies sends them behind its pictures, to see what the line takes."""
    address, headers = desk.direct + "visa/stream/socket", {"Authorization": f"token {desk.token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address, headers=headers, autoping=False, max_msg_size=2**23) as browser,
        asyncio.timeout(20),
    ):
        while (await browser.receive()).type is not aiohttp.WSMsgType.PING:
            pass


async def test_it_ends_when_nobody_has_watched_for_a_while(camera, monkeypatch):
    monkeypatch.setattr(process, "LINGER", 0.3)
    async with camera.watched():
        pass
    first = camera._process.pid
    async with camera.watched():
        assert camera._process.pid == first, "who comes back soon finds it"
    await asyncio.wait_for(camera.ended.wait(), 5)
    assert not psutil.pid_exists(first)
    assert not camera.refusal(), "ending in order is no failure"


async def test_another_size_of_the_screen_begins_anew(desk):
    owner = await Viewer.open(desk)
    watcher = await Watcher.connect(desk)
    await watcher.sees()
    owner.resize(1200, 700)
    owner.encodings(0, -308, -223)
    owner.resize(1200, 700)
    assert (await watcher.closed()).code == 4502
    again = await Watcher.connect(desk)
    await again.sees()
    owner.resize(1920, 1080)
    assert (await again.closed()).code == 4502
    await becomes(lambda: display.size(desk), "1920x1080")
    owner.close()


async def test_a_crash_leaves_vnc_and_is_not_tried_for_ever(new_session):
    session = await later(new_session)
    vnc = await Viewer.open(session)
    for number in range(process.MOST_FAILURES):
        watcher = await Watcher.connect(session)
        await watcher.sees()
        [selkies] = await later(selkies_of, session)
        selkies.kill()
        assert (await watcher.closed()).code == 4500, number
    answer = (await later(session.get, "visa/stream")).json()
    assert not answer["offered"]
    assert "several times" in answer["why"]
    refused = await (await Watcher.connect(session)).closed()
    assert (refused.code, refused.reason) == (4500, answer["why"])
    assert await vnc.sees()
    vnc.close()


async def watched_again(session) -> Watcher:
    """Somebody who comes back as a page does, until a new desktop is there."""
    async with asyncio.timeout(60):
        while True:
            again = await Watcher.connect(session)
            try:
                await again.sees()
            except Closed:
                # A page waits longer; whoever does not has opened it too often before the desktop is there.
                await asyncio.sleep(2)
                continue
            return again


async def test_it_ends_with_the_desktop_and_with_the_session(new_session):
    session = await later(new_session)
    watcher = await Watcher.connect(session)
    await watcher.sees()
    (await later(display.vnc_server, session)).kill()
    assert (await watcher.closed()).code == 4501
    again = await watched_again(session)
    assert again.bytes
    [selkies] = await later(selkies_of, session)
    server = next(one for one in session.processes() if one.children() and selkies in one.children())
    server.kill()
    await later(wait_until, lambda: not session.processes(), 10, "something was left behind")


async def test_what_it_is_turned_off_by(new_session):
    session = await later(new_session, stream_rate=0)
    assert (await later(session.get, "visa/stream")).json()["why"].endswith("turned it off.")
    assert (await (await Watcher.connect(session)).closed()).code == 4500
    assert await later(selkies_of, session) == []


def test_measuring_the_line_has_its_bounds(desk):
    vera = desk.people["vera"]
    answer = desk.get("visa/line/probe?bytes=1000", vera)
    assert len(answer.content) == 1000
    assert answer.headers["Cache-Control"] == "no-store"
    for wrong in ("", "?bytes=", "?bytes=-1", "?bytes=262145", "?bytes=1e3", "?bytes=\u0661"):
        assert desk.get(f"visa/line/probe{wrong}", vera).status_code == 400, wrong
    assert desk.get("visa/line/probe?bytes=262144", vera).status_code == 200
