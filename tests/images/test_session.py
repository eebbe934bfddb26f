"""`visa-session` as the first process of a real container: its token stays its own, and it ends in order."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from types import SimpleNamespace

import httpx
import pytest

from tests.visa_session.hubside import later, wait_until
from tests.visa_session.launch import HubDoor
from tests.visa_session.watcher import Watcher
from visa_session.contract import INFO_VARIABLE, SessionInfo

from .conftest import INSIDE

TOKEN = "the-token-of-a-session-0123456789"
ACCOUNT = 65534


@pytest.fixture
def door():
    door = HubDoor()
    yield door
    door.close()


@pytest.fixture
def session(engine, image, door, tmp_path):
    """Runs engine commands on a container whose session has said that it is ready."""
    os.chown(tmp_path, ACCOUNT, ACCOUNT)
    name = f"visa-test-images-{uuid.uuid4().hex[:8]}"
    base = f"http://127.0.0.1:{door.port}/hub/api"
    env = {
        "HOME": "/home/alice",
        INFO_VARIABLE: SessionInfo(owner="alice", name="x", interface="desktop").to_json(),
        "JUPYTERHUB_API_TOKEN": TOKEN,
        "JUPYTERHUB_API_URL": base,
        "JUPYTERHUB_ACTIVITY_URL": base + "/users/alice/activity",
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/alice/x/",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/x/",
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_SERVER_NAME": "x",
        "JUPYTERHUB_CLIENT_ID": "x",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/x", "access:servers!user=alice"]',
    }

    def podman(*arguments: str, **others) -> subprocess.CompletedProcess:
        return subprocess.run(
            [engine.program, *arguments], capture_output=True, text=True, env=engine.environment, **others
        )

    options = ["--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host"]
    options += [
        "--user",
        f"{ACCOUNT}:{ACCOUNT}",
        "-v",
        f"{tmp_path}:/home/alice",
        "-v",
        f"{INSIDE}:/inside:ro",
    ]
    given = [word for key, value in env.items() for word in ("-e", f"{key}={value}")]
    made = podman("run", "-d", "--name", name, *options, *given, image, "visa-session")
    try:
        assert made.returncode == 0, made.stderr
        wait_until(lambda: door.heard, 40, "it did not become ready")
        yield lambda *arguments, **others: podman(
            arguments[0], *others.pop("options", ()), name, *arguments[1:], **others
        )
    finally:
        podman("rm", "-f", "-t", "0", name)


def test_nobody_inside_finds_the_sessions_token(session, door):
    assert door.heard[0]["token"] == f"token {TOKEN}", "and it still proves who it is"
    # The engine gives the container's environment to what it executes itself; nobody inside can ask it to.
    bare = ["-i", "-e", "JUPYTERHUB_API_TOKEN="]
    found = session("exec", "python", "/inside/find_token.py", options=bare, input=TOKEN)
    assert found.returncode == 0, found.stderr
    assert "/proc" not in found.stdout, found.stdout
    assert int(found.stdout.split()[-1]) > 3
    assert session("exec", "cat", "/proc/1/comm").stdout.strip() in ("visa-session", "python", "python3")
    for path in ("environ", "mem", "maps"):
        assert "Permission denied" in session("exec", "cat", f"/proc/1/{path}").stderr


async def test_the_desktops_picture_streams_and_selkies_own_entry_does_not(session, door):
    door.people["person"] = "alice"
    url = f"http://127.0.0.1:{door.heard[0]['port']}/user/alice/x/"
    owner = httpx.Client(base_url=url, headers={"Authorization": "token person"})
    answer = await later(owner.get, "visa/stream")
    assert (answer.status_code, answer.text) == (200, '{"offered": true, "why": ""}')
    for path in ("selkies", "selkies/", "selkies/api/websockets"):
        assert (await later(owner.get, path)).status_code == 403, path
    watcher = await Watcher.connect(SimpleNamespace(url=url, token="person"))
    await watcher.sees()
    watcher.close()


def test_it_ends_in_order_as_the_first_process(session):
    session("exec", "sh", "-c", "setsid sleep 3000 & sleep 0.2; true")
    begun = time.monotonic()
    assert session("stop", options=["-t", "20"]).returncode == 0
    assert time.monotonic() - begun < 12
    assert session("inspect", options=["--format", "{{.State.ExitCode}}"]).stdout.strip() == "0"
