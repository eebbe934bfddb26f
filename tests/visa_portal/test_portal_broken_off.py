"""A hub that ends in the middle of an answer: said as such, on every page, and never taken for an answer."""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from portal_support import experiments, free_ports, wait_for

ALICE = {"kind": "user", "name": "alice", "groups": [], "scopes": ["access:services!service=visa"]}


def empty(handler) -> None:
    """As of a request that a hub cancels when it is told to end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def cut(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"name"')
    handler.close_connection = True


def closed(handler) -> None:
    handler.close_connection = True


def broken(handler, words="Internal Server Error") -> None:
    whole(handler, {"status": 500, "message": words}, 500)


def whole(handler, said: dict, status: int = 200) -> None:
    """An answer as it should be."""
    text = json.dumps(said).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


class EndingHub(ThreadingHTTPServer):
    """Answers who somebody is, but for what is in `faults`, by the end of its address."""

    daemon_threads = True

    def __init__(self):
        self.faults: dict = {}
        super().__init__(("127.0.0.1", 0), Answers)
        Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *who):
        """Whoever hears half of an answer hangs up."""


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        for end, fault in self.server.faults.items():
            if path.endswith(end):
                return fault(self)
        whole(self, ALICE if path.endswith("/user") else {})

    do_POST = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def hub():
    hub = EndingHub()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture(scope="module")
def portal(hub, tmp_path_factory):
    """The portal's address, at that hub."""
    folder = tmp_path_factory.mktemp("broken-off")
    lines = [json.dumps(one) for one in experiments(folder)]
    (folder / "experiments.jsonl").write_text("\n".join(lines) + "\n")
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    env = {
        "JUPYTERHUB_API_TOKEN": "x",
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{hub.server_port}/hub/api",
        "JUPYTERHUB_SERVICE_URL": address,
        "JUPYTERHUB_SERVICE_NAME": "visa",
        "VISA_CATALOGUE": f"file://{folder / 'experiments.jsonl'}",
    }
    command = [sys.executable, "-m", "visa_portal.app"]
    process = subprocess.Popen(command, env=os.environ | env)
    try:
        wait_for(f"{address}/services/visa/proxy-error/503")
        yield f"{address}/services/visa/"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(autouse=True)
def sound_again(hub):
    yield
    hub.faults = {}


HEADERS = {"Authorization": "token alices"}
PAGES = ("", "sessions", "new", "pulse?after=x")


@pytest.mark.parametrize("fault", [empty, cut, closed, broken])
@pytest.mark.parametrize("page", PAGES)
def test_who_somebody_is_cannot_be_asked(hub, portal, page, fault):
    hub.faults = {"/api/user": fault, "/visa/pulse": fault}
    answer = httpx.get(portal + page, headers={"Authorization": "token unknown"})
    wanted = (502, 503) if page.startswith("pulse") and fault is broken else (503,)
    assert answer.status_code in wanted, answer.text
    assert "has been logged" not in answer.text


@pytest.mark.parametrize("fault", [empty, cut, closed])
@pytest.mark.parametrize("page", PAGES)
def test_an_answer_that_breaks_off_is_no_answer(hub, portal, page, fault):
    """Least of all one that says that somebody has no session."""
    calls = ("mine", "sessions", "options", "history", "pulse")
    hub.faults = {f"/visa/{call}": fault for call in calls} | {"/alice/tooth": fault}
    answer = httpx.get(portal + page, headers=HEADERS)
    assert answer.status_code == 503, answer.text
    assert "no session yet" not in answer.text


def test_a_hub_that_is_broken_is_not_taken_for_our_own_fault(hub, portal):
    hub.faults = {"/visa/mine": broken}
    answer = httpx.get(portal, headers=HEADERS)
    assert answer.status_code == 502
    assert "Something went wrong in the service; its log says what." in answer.text
    hub.faults = {"/visa/mine": lambda handler: broken(handler, "The disk of the hub is full.")}
    answer = httpx.get(portal, headers=HEADERS)
    assert (answer.status_code, "The disk of the hub is full." in answer.text) == (500, True)


def test_the_last_errors_of_a_hub_that_ends_are_its_end(hub, portal):
    hub.faults = {"/visa/mine": broken, "/api/health": closed}
    answer = httpx.get(portal, headers=HEADERS)
    assert (answer.status_code, "does not answer at the moment" in answer.text) == (503, True)


@pytest.mark.parametrize("fault", [empty, cut, closed, broken])
@pytest.mark.parametrize("call", ["/oauth2/token", "/api/user"])
def test_a_login_that_breaks_off_begins_anew(hub, portal, call, fault):
    with httpx.Client() as client:
        there = client.get(portal)
        state = re.search(r"state=([^&]+)", there.headers["Location"])[1]
        hub.faults = {call: fault}
        if call == "/api/user":
            hub.faults["/oauth2/token"] = lambda handler: whole(handler, {"access_token": fault.__name__})
        answer = client.get(f"{portal}oauth_callback?code=c&state={state}")
    assert answer.status_code == 503, answer.text
    assert 'data-to="/services/visa/"' in answer.text, "what was asked for is used up"
