"""A session's start and its end, as real processes of an ordinary account."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid

import httpx
import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from visa_session.contract import EXIT_NO_TOKEN

from .hubside import names, start_session, stop_session, wait_until
from .launch import HubDoor, Launched
from .viewer import Viewer


@pytest.fixture
def door():
    door = HubDoor()
    yield door
    door.close()


@pytest.fixture
def launch(door):
    """Starts sessions by hand, and ends what a test leaves."""
    launched = []

    def start(*args, **others) -> Launched:
        launched.append(Launched(door.port, *args, **others).start())
        return launched[-1]

    yield start
    for one in launched:
        one.close()


def family(process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def server_of(launched: Launched) -> psutil.Process:
    return psutil.Process(launched.process.pid).children()[0]


def landing(session) -> str:
    """Where a session's address leads to."""
    return session.get("", follow_redirects=False).headers["Location"].rstrip("?")


def test_a_session_starts_on_a_free_port_and_says_what_it_is(new_session):
    session = new_session(title="First", ends="2999-01-01T00:00:00+00:00", interface="lab")
    about = session.get("visa/session").json()
    assert about["role"] == "owner"
    assert about["title"] == "First"
    assert about["seconds_left"] > 10**9
    assert about["desktop"]["state"] == "off"
    assert landing(session) == session.path + "lab"


def test_the_hub_is_told_as_soon_as_the_server_listens(door, launch):
    launched = launch()
    wait_until(lambda: door.heard, 20)
    told = door.heard[0]
    assert set(told) == {"port", "token"}
    assert told["token"] == "token the-token"
    answer = httpx.get(f"http://127.0.0.1:{told['port']}/user/alice/byhand/api", timeout=5)
    assert answer.status_code == 200
    assert launched.process.poll() is None


def test_the_token_may_come_on_standard_input_which_is_then_nothing(door):
    """How a job on a cluster is given it: there, the environment of a process can be read for longer."""
    launched = Launched(door.port, VISA_TOKEN_STDIN="1")
    launched.standard_input = "the-token-in-a-pipe\n"
    launched.start()
    try:
        wait_until(lambda: door.heard, 20, launched.said)
        assert door.heard[0]["token"] == "token the-token-in-a-pipe"
        for process in [psutil.Process(launched.process.pid), *family(launched.process)]:
            assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"
            assert "the-token-in-a-pipe" not in " ".join(process.environ().values())
    finally:
        launched.close()


def test_nothing_on_standard_input_is_no_token(door):
    launched = Launched(door.port, VISA_TOKEN_STDIN="1")
    launched.standard_input = ""
    code, said = launched.run()
    assert code == EXIT_NO_TOKEN
    assert "given no token" in said
    assert not door.heard


def test_signals_that_came_before_it_listened_for_them_are_heard(door):
    """Slurm's runtimes are started with these blocked: what is sent meanwhile waits for the session."""
    blocked = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM});"
    blocked += "os.kill(os.getpid(), signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])"
    launched = Launched(door.port, before=(sys.executable, "-c", blocked))
    launched.start()
    try:
        assert launched.process.wait(20) == 0
    finally:
        launched.close()


def test_a_hub_in_trouble_is_told_again_until_it_listens(door, launch):
    door.answers = [503, 500, 429, 204]
    launched = launch()
    wait_until(lambda: len(door.heard) == 4, 20)
    wait_until(lambda: "Ready on port" in launched.said, 5)
    assert len({told["port"] for told in door.heard}) == 1
    time.sleep(1)
    assert len(door.heard) == 4, "told once more after it was taken"


def test_a_hub_that_is_away_is_waited_for(door, launch):
    port = door.port
    door.close()
    launched = launch()
    wait_until(lambda: "trying again" in launched.said, 20)
    assert launched.process.poll() is None
    again = HubDoor(port)
    try:
        wait_until(lambda: again.heard, 15, "the hub that came back was not told")
    finally:
        again.close()


@pytest.mark.parametrize("answer", [400, 401, 403])
def test_a_hub_that_does_not_know_the_session_ends_it(door, launch, answer):
    door.answers = [answer]
    launched = launch()
    assert launched.process.wait(20) == 1
    assert f"The hub refuses this session ({answer})" in launched.said
    assert len(door.heard) == 1


def test_a_hub_without_that_call_is_served_all_the_same(door, launch):
    door.answers = [404]
    launched = launch()
    wait_until(lambda: "does not ask sessions" in launched.said, 20)
    assert launched.process.poll() is None


def leave_things_running(session) -> list[psutil.Process]:
    """A kernel, a terminal, the desktop, and what a person would send to the background in each way."""
    session.get("api/kernels", method="POST", json={"name": "python3"}).raise_for_status()
    session.get("api/terminals", method="POST").raise_for_status()
    session.get("desktop/").raise_for_status()
    wait_until(lambda: {"xfwm4", "xfdesktop"} <= names(session.processes()), 20)
    script = (
        "import os, subprocess, signal;"
        "subprocess.Popen(['setsid', 'sleep', '3001']);"
        "subprocess.Popen(['nohup', 'sh', '-c', 'trap \"\" TERM HUP; while :; do sleep 3002; done']);"
        "os.fork() or (os.setsid(), os.fork() or os.execlp('sleep', 'sleep', '3003'), os._exit(0))"
    )
    kernel = next(p for p in session.processes() if "ipykernel" in " ".join(p.cmdline()))
    # As a cell of a notebook would do it: the processes are the kernel's children.
    asyncio.run(run_cell(session, script))
    wait_until(
        lambda: (
            {"3001", "3002", "3003"} <= {p.cmdline()[-1] for p in session.processes() if p.name() == "sleep"}
        ),
        10,
    )
    return [kernel, *session.processes()]


async def run_cell(session, code: str) -> None:
    kernel = session.get("api/kernels").json()[0]["id"]
    url = session.url.replace("http:", "ws:") + f"api/kernels/{kernel}/channels"
    request = HTTPRequest(url, headers={"Authorization": f"token {session.token}"})
    socket = await websocket_connect(request)
    header = {"msg_id": uuid.uuid4().hex, "username": "", "session": "s", "msg_type": "execute_request"}
    header |= {"version": "5.3", "date": "2026-01-01T00:00:00Z"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
    content |= {"allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(message))
    while message := await socket.read_message():
        text = json.loads(message) if isinstance(message, str) else {}
        if text.get("msg_type") == "execute_reply":
            assert text["content"]["status"] == "ok", text
            break
    socket.close()


def test_a_kernel_works_and_has_no_channel_on_a_port(new_session):
    """Whoever is on the machine could read there what it prints: only requests are signed."""
    session = new_session()
    session.get("api/kernels", method="POST", json={"name": "python3"}).raise_for_status()
    asyncio.run(run_cell(session, "assert 6 * 7 == 42"))
    listening = {
        connection.laddr.port
        for process in session.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert httpx.URL(session.direct).port in listening
    # ipykernel takes its own children's output on one, which gives nothing away.
    assert len(listening) <= 2, "its five channels are files in the private directory"


def test_stopping_a_session_leaves_no_process_behind(site):
    session = start_session(site, "alice", "leftovers")
    there = leave_things_running(session)
    names = {process.name() for process in there}
    assert any("tigervnc" in name.lower() for name in names), names
    begun = time.monotonic()
    stop_session(session)
    assert time.monotonic() - begun < 10
    assert not [process for process in there if process.is_running()]


@pytest.mark.parametrize("victim", ["server", "supervisor"])
def test_a_killed_session_leaves_no_process_behind(site, victim):
    """The server, as the kernel does it when memory runs out; or its supervisor, which takes it along."""
    session = start_session(site, "alice", f"killed-{victim}")
    try:
        session.get("desktop/").raise_for_status()
        wait_until(lambda: "xfwm4" in names(session.processes()), 20)
        family = session.processes()
        supervisor = min(family, key=lambda process: process.create_time())
        target = supervisor.children()[0] if victim == "server" else supervisor
        target.send_signal(signal.SIGKILL)
        wait_until(lambda: not session.processes(), 15, f"left: {session.processes()}")
    finally:
        session.site.api("DELETE", f"users/alice/servers/{session.name}")


def test_as_the_first_process_of_a_container_it_reaps_orphans(door):
    launched = Launched(door.port, before=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    launched.start()
    try:
        wait_until(lambda: door.heard, 20)
        first = family(launched.process)[0]
        assert first.status() != psutil.STATUS_ZOMBIE
        first.send_signal(signal.SIGTERM)
        assert launched.process.wait(15) == 0
    finally:
        launched.close()


def test_told_to_stop_while_it_is_starting_it_ends_at_once(door, launch):
    launched = launch({"interface": "desktop"})
    wait_until(lambda: len(family(launched.process)) >= 1, 5)
    launched.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert launched.process.wait(10) == 0
    assert time.monotonic() - begun < 5


def test_a_desktop_session_starts_its_desktop_beside_the_server(new_session):
    session = new_session(interface="desktop")
    assert landing(session) == session.path + "desktop/"
    wait_until(lambda: session.get("visa/session").json()["desktop"]["state"] == "running", 10)
    terminal = session.get("api/terminals", method="POST").json()["name"]
    shell = next(p for p in session.processes() if p.name() in ("bash", "sh") and "-l" in p.cmdline())
    assert shell.environ()["DISPLAY"].startswith(":"), terminal


async def test_a_desktop_that_died_is_started_again_by_the_next_visitor(new_session):
    session = new_session(interface="desktop")
    for name in ("Xtigervnc", "dbus-run-session"):
        viewer = await Viewer.open(session)
        wait_until(lambda: "xfwm4" in names(session.processes()), 20)
        next(p for p in session.processes() if p.name() == name).kill()
        how = await viewer.closed()
        assert how.code in (4501, 4500)
        assert "ended" in how.reason
        wait_until(lambda: session.get("visa/session").json()["desktop"]["state"] == "off", 10)
        assert "has ended" in session.get("visa/session").json()["desktop"]["words"]
    again = await Viewer.open(session)
    assert await again.sees()
    again.close()


def test_a_missing_vnc_server_is_said_in_words(door, launch, tmp_path):
    launched = launch({"interface": "desktop"}, PATH="/nonexistent")
    wait_until(lambda: "this environment has no VNC server" in launched.said, 20)
    wait_until(lambda: door.heard, 20, "JupyterLab is there without it")


def test_settings_in_the_home_directory_do_not_open_the_session(door):
    launched = Launched(door.port)
    config = launched.home / ".jupyter"
    config.mkdir()
    server = {
        "authorizer_class": "jupyter_server.auth.AllowAllAuthorizer",
        "allow_unauthenticated_access": True,
    }
    server |= {
        "root_dir": "/etc",
        "port": 1,
        "ip": "0.0.0.0",
        "allow_origin": "*",
        "disable_check_xsrf": True,
    }
    server |= {
        "jpserver_extensions": {"visa_session.singleuser": False, "jupyter_remote_desktop_proxy": True}
    }
    (config / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": server}))
    launched.start()
    try:
        wait_until(lambda: door.heard, 20, launched.said)
        base = f"http://127.0.0.1:{door.heard[0]['port']}/user/alice/byhand/"
        assert httpx.get(base + "api/contents", timeout=5).status_code == 403
        assert "Serving notebooks from local directory: /\n" in launched.said
        assert "jupyter_remote_desktop_proxy | extension" not in launched.said
    finally:
        launched.close()
