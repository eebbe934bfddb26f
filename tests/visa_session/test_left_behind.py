"""What somebody leaves in the owner's home directory opens nothing of the next session, nor of this one."""

from __future__ import annotations

import asyncio
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from tornado.httputil import HTTPHeaders

from visa_session.proxied import without_logins

from .hub.session_spawner import UID
from .hubside import later, start_session, stop_session, wait_until
from .launch import HubDoor, Launched
from .peoplesockets import Socket


@pytest.fixture
def door():
    door = HubDoor()
    yield door
    door.close()


def leave(home: Path, path: str, text: str) -> Path:
    """A file in the home directory, and the directories above it, as the account itself makes them."""
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for one in (file, *file.parents):
        if one == home:
            break
        os.chown(one, UID, UID)
    return file


def test_no_file_is_read_without_a_login_through_a_link_among_the_extensions(door):
    launched = Launched(door.port)
    secret = leave(launched.home, "data/secret.txt", "what only the owner may read")
    leave(launched.home, ".local/share/jupyter/labextensions/here/package.json", "{}")
    (launched.home / ".local/share/jupyter/labextensions/out").symlink_to(secret.parent)
    launched.start()
    try:
        wait_until(lambda: door.heard, 20, launched.said)
        base = f"http://127.0.0.1:{door.heard[0]['port']}/user/alice/byhand/lab/extensions/"
        for path in ("out/secret.txt", "here/package.json"):
            answer = httpx.get(base + path, timeout=5)
            assert answer.status_code == 404, answer.text
        assert httpx.get(base + "visa-session/static/remoteEntry.js", timeout=5).status_code == 200
    finally:
        launched.close()


@pytest.mark.parametrize("name", ["jupyter_server_config.py", "jupyter_lab_config.py", "jupyter_config.py"])
def test_no_program_in_the_home_directory_runs_in_the_server(door, name):
    launched = Launched(door.port)
    where = launched.home / "ran"
    for directory in (".jupyter", ".local/etc/jupyter", "."):
        leave(launched.home, f"{directory}/{name}", f"open({str(where)!r}, 'a')")
    launched.start()
    try:
        wait_until(lambda: door.heard, 20, launched.said)
        assert not where.exists()
    finally:
        launched.close()


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "left")
    yield session
    stop_session(session)


@pytest.fixture
def home(session):
    """The home directory; what a test leaves there is taken away, since other tests live in it too."""
    home = Path(session.get("visa/session").json()["home"])
    known = set(home.rglob("*"))
    yield home
    for path in sorted(set(home.rglob("*")) - known, reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_template_in_the_home_directory_runs_nothing_in_the_server(session, home):
    where = home / "ran"
    program = "{{ cycler.__init__.__globals__.os.system('echo >> " + str(where) + "') }}"
    for kind in ("lab", "python", "markdown", "base"):
        for at in (f".local/share/jupyter/nbconvert/templates/{kind}", kind):
            for name in ("index.html.j2", "index.py.j2", "index.md.j2"):
                leave(home, f"{at}/{name}", program)
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for kind in ("html", "python", "markdown"):
        body = {"name": "a.ipynb", "content": notebook}
        assert session.get(f"nbconvert/{kind}", method="POST", json=body).status_code == 200
    assert not where.exists()


def test_kernels_of_the_persons_own_are_found_all_the_same(session, home):
    spec = {"argv": ["true", "{connection_file}"], "display_name": "Mine", "language": "python"}
    leave(home, ".local/share/jupyter/kernels/mine/kernel.json", json.dumps(spec))
    assert {"mine", "python3"} <= set(session.get("api/kernelspecs").json()["kernelspecs"])


#: What it would leave in a browser.
ANSWER = (
    ("Service-Worker-Allowed", "/"),
    ("Set-Cookie", "jupyterhub-user-alice-left=of-somebody-else; Path=/"),
    ("set-cookie", "__Host-jupyterhub-user-alice-left=of-somebody-else; Path=/"),
    ("Set-Cookie", "own=1"),
)


def test_the_page_is_not_told_by_a_file_in_the_home_directory_where_its_scripts_are(site, session, home):
    told = {"fullStaticUrl": "https://evil.example/static", "wsUrl": "wss://evil.example/"}
    leave(home, ".jupyter/labconfig/page_config.json", json.dumps(told))
    # Such a file is read at a server's start, and again for each page.
    next_one = start_session(site, "alice", "left-next")
    try:
        for server in (session, next_one):
            page = server.get("lab")
            assert page.status_code == 200
            assert "evil.example" not in page.text
            assert "fullStaticUrl" in page.text
    finally:
        stop_session(next_one)


class Listening:
    """A program that somebody started in the session: it notes what it is sent."""

    def __init__(self):
        self.heard: list[dict[str, str]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                heard.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                for name, value in ANSWER:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("way", ["proxy/{}/", "proxy/absolute/{}/", "proxy/localhost:{}/"])
def test_a_program_in_the_session_is_sent_no_login_of_who_looks_at_it(session, way):
    program = Listening()
    cookies = "jupyterhub-user-alice-left=a; __Host-jupyterhub-user-alice-other=b; _xsrf=c; own=1; other=2"
    headers = {"Cookie": cookies, "X-XSRFToken": "d"}
    try:
        assert session.get(way.format(program.port), headers=headers).status_code == 200
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="}
        session.get(way.format(program.port), headers=headers | upgrade)
        wait_until(lambda: len(program.heard) == 2, 5)
        for heard in program.heard:
            assert heard["cookie"] == "own=1; other=2"
            assert not {"authorization", "x-xsrftoken"} & set(heard)
            assert session.token not in str(heard)
    finally:
        program.server.shutdown()


def test_a_page_of_elsewhere_has_nobodys_browser_act_on_a_program_in_the_session(session):
    """Of another session, say: sibling hosts are one site, so that the browser sends its cookies along."""
    program = Listening()
    login = httpx.get(f"{session.url}visa/session?token={session.token}")
    url = f"{session.url}proxy/{program.port}/"
    link = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    foreign = [
        ("POST", {"Origin": "http://bob.hub.example"}),
        ("POST", {"Origin": "null"}),
        ("POST", link),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", link | {"Sec-Fetch-Dest": "iframe"}),
    ]
    own = [
        ("POST", {"Origin": session.site.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", link),
        ("GET", {}),
    ]
    try:
        for method, headers in foreign:
            answer = httpx.request(method, url, cookies=login.cookies, headers=headers)
            assert answer.status_code == 403, headers
        assert not program.heard
        for method, headers in own:
            answer = httpx.request(method, url, cookies=login.cookies, headers=headers)
            assert answer.status_code == 200, headers
    finally:
        program.server.shutdown()


def test_a_program_leaves_nothing_in_a_browser_that_reaches_beyond_its_pages(session):
    program = Listening()
    try:
        answer = session.get(f"proxy/{program.port}/")
        assert answer.headers.get_list("Set-Cookie") == ["own=1"]
        assert "Service-Worker-Allowed" not in answer.headers
    finally:
        program.server.shutdown()


def test_a_password_for_the_program_itself_goes_through():
    headers = HTTPHeaders({"Authorization": "Basic YTpi", "Accept": "*/*"})
    headers.add("Cookie", "a=1")
    headers.add("Cookie", "jupyterhub-user-alice-left=x")
    kept = without_logins(headers)
    assert dict(kept) == {"Authorization": "Basic YTpi", "Accept": "*/*", "Cookie": "a=1"}


def test_what_signs_cookies_is_in_no_file(session):
    session.get("api/terminals", method="POST").raise_for_status()
    shell = next(one for one in session.processes() if "JUPYTER_RUNTIME_DIR" in one.environ())
    runtime = Path(shell.environ()["JUPYTER_RUNTIME_DIR"])
    assert runtime.is_dir()
    assert not (runtime / "jupyter_cookie_secret").exists()


async def test_what_programs_in_a_kernel_print_is_not_in_the_log(session):
    """Staff read it without being let in."""
    kernel = await later(lambda: session.get("api/kernels", method="POST", json={"name": "python3"}))
    socket = await Socket.open(session, f"api/kernels/{kernel.json()['id']}/channels", session.token)
    code = "import os; os.system('echo con''tent1'); os.write(2, b'con' + b'tent2'); print('con' + 'tent3')"
    header = {
        "msg_id": "1",
        "username": "alice",
        "session": "x",
        "msg_type": "execute_request",
        "version": "5.3",
    }
    message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": []}
    socket.connection.write_message(json.dumps(message | {"content": {"code": code, "silent": False}}))
    shown = ""
    while not all(f"content{number}" in shown for number in (1, 2, 3)):
        shown += str(await asyncio.wait_for(socket.heard.get(), 20))
    socket.close()
    assert not any(f"content{number}" in session.log for number in (1, 2, 3))
