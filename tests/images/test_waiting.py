"""`visa-session --wait` in a real container, as the backend makes one: nobody's, then one person's."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import psutil
import pytest

from tests.visa_session.hubside import wait_until
from tests.visa_session.launch import HubDoor
from visa_session.contract import EXIT_BAD_INFO, EXIT_NOT_WAITING, INFO_VARIABLE, PASSPORT, SessionInfo
from visa_spawner.backends.files import archive
from visa_spawner.session import Person

from .conftest import INSIDE

TOKEN = "the-token-of-a-session-9876543210"
ALICE = Person("alice", 23456, 34567, (2001, 2002), "/home/alice")
LOCKED = ("--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host")
ROOT = ("--user", "0:0", "--cap-add", "SETUID", "--cap-add", "SETGID", "--cap-add", "SETPCAP")
#: Connects to the door from inside and says what comes back.
KNOCK = """
import socket
with socket.socket(socket.AF_UNIX) as door:
    door.connect("/run/visa/handover")
    door.sendall(b"{}")
    door.shutdown(socket.SHUT_WR)
    print("heard", door.recv(100))
"""


@pytest.fixture
def door():
    door = HubDoor()
    yield door
    door.close()


class Container:
    """A running container; `pid` is its first process, seen from outside."""

    def __init__(self, engine, image: str, options: tuple[str, ...], *command: str):
        self.engine, self.name = engine, f"visa-test-images-{uuid.uuid4().hex[:8]}"
        made = self.podman("run", "-d", "--name", self.name, *options, image, *command)
        assert made.returncode == 0, made.stderr
        self.pid = int(self.inspect("{{.State.Pid}}"))

    def podman(self, *arguments: str, **others) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.engine.program, *arguments],
            capture_output=True,
            text=True,
            env=self.engine.environment,
            **others,
        )

    def inspect(self, template: str) -> str:
        return self.podman("inspect", "--format", template, self.name).stdout.strip()

    def rights(self, process: int) -> dict[str, str]:
        """What the kernel says of a process's rights; empty for one that has ended."""
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return {}
        found = dict(line.split(":\t") for line in lines)
        names = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        names += ("NoNewPrivs", "Seccomp", "Umask")
        return {} if found["State"].startswith("Z") else {name: found[name] for name in names}

    def all_rights(self) -> dict[int, dict[str, str]]:
        """The same of all that runs in it."""
        return {process: held for process in self.processes() if (held := self.rights(process))}

    def open_files(self) -> list[str]:
        """The kinds of what its first process has open."""
        folder = f"/proc/{self.pid}/fd"
        return sorted(os.readlink(f"{folder}/{name}").partition(":")[0] for name in os.listdir(folder))

    def processes(self) -> list[int]:
        """Its processes, the first one first, then the server."""
        first = psutil.Process(self.pid)
        others = sorted(first.children(recursive=True), key=lambda process: process.create_time())
        return [self.pid, *(process.pid for process in others)]

    @property
    def said(self) -> str:
        done = self.podman("logs", self.name)
        return done.stdout + done.stderr

    def knock(self) -> socket.socket:
        """A connection to its door, from outside as root."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(30)
        path = f"/proc/{self.pid}/root/run/visa/handover"
        # It has a name a moment before anybody listens there.
        wait_until(lambda: os.path.exists(path) and peer.connect_ex(path) == 0, 20, "it opens no door")
        return peer

    def hand_over(self, document: bytes, peer: socket.socket | None = None) -> dict:
        with peer or self.knock() as peer:
            peer.sendall(document)
            peer.shutdown(socket.SHUT_WR)
            with peer.makefile() as answer:
                return json.loads(answer.readline())

    def code(self) -> int:
        """Its exit code, once it has ended."""
        return int(self.podman("wait", self.name, timeout=20).stdout)

    def remove(self) -> None:
        self.podman("rm", "-f", "-t", "0", self.name)


@pytest.fixture
def home(tmp_path):
    os.chown(tmp_path, ALICE.uid, ALICE.gid)
    return tmp_path


@pytest.fixture
def run(engine, image, home):
    """`run(options, *command)` starts a container with Alice's home; all are removed afterwards."""
    made = []

    def start(options: tuple[str, ...], *command: str) -> Container:
        mounts = ("-v", f"{home}:{ALICE.home}", "-v", f"{INSIDE}:/inside:ro")
        made.append(Container(engine, image, (*LOCKED, *mounts, *options), *command))
        return made[-1]

    yield start
    for one in made:
        one.remove()


@pytest.fixture
def waiting(run) -> Container:
    return run((*ROOT, "-e", "LANG=C.UTF-8"), "visa-session", "--wait")


def environment(door: HubDoor) -> dict[str, str]:
    base = f"http://127.0.0.1:{door.port}/hub/api"
    return {
        "HOME": ALICE.home,
        "LANG": "C.UTF-8",
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


def document(door: HubDoor, **changes) -> bytes:
    files = archive(ALICE, {"/experiments/a1/raw": "/data/raw"}, (), {PASSPORT: '{"visa_passport": 1}'})
    values = {
        "uid": ALICE.uid,
        "gid": ALICE.gid,
        "gids": list(ALICE.gids),
        "environment": environment(door),
        "files": base64.b64encode(files).decode(),
        "hostname": "x",
    }
    return json.dumps(values | changes).encode()


def test_one_that_waited_is_like_one_that_was_made_for_its_person(run, waiting, door):
    """And nobody else's from then on: nothing of root's is left, nor a second hand-over, nor the token."""
    as_root = waiting.rights(waiting.pid)
    assert as_root["Uid"].split() == ["0"] * 4
    assert as_root["CapBnd"] == as_root["CapEff"] == f"{1 << 6 | 1 << 7 | 1 << 8:016x}", (
        "and no more than these"
    )
    assert waiting.hand_over(document(door)) == {"taken": True}
    wait_until(lambda: door.heard, 40, "it did not become ready")
    assert door.heard[0]["token"] == f"token {TOKEN}"

    given = [word for key, value in environment(door).items() for word in ("-e", f"{key}={value}")]
    groups = [word for gid in ALICE.gids for word in ("--group-add", str(gid))]
    cold = run(("--user", f"{ALICE.uid}:{ALICE.gid}", *groups, *given), "visa-session")
    wait_until(lambda: len(door.heard) == 2, 40, "the other one did not become ready")
    wanted = cold.rights(cold.pid)
    mine = waiting.all_rights()
    assert len(mine) > 3, "its desktop is among them"
    assert all(held == wanted for held in mine.values()), (wanted, mine)
    assert waiting.open_files() == cold.open_files(), "nothing is kept of the hand-over, and the address is"
    # Its first two were started as root: nobody of the account looks into them all the same.
    for process in waiting.processes()[:2]:
        assert os.stat(f"/proc/{process}/environ").st_uid == 0, process

    assert not os.path.exists(f"/proc/{waiting.pid}/root/run/visa/handover")
    table = Path(f"/proc/{waiting.pid}/net/unix").read_text()
    assert "/run/visa/handover" not in table, "nor does anything listen there without a name"
    account = ("--user", f"{ALICE.uid}:{ALICE.gid}")
    found = waiting.podman(
        "exec", "-i", *account, waiting.name, "python", "/inside/find_token.py", input=TOKEN
    )
    assert "/proc" not in found.stdout, found.stdout
    assert int(found.stdout.split()[-1]) > 3
    look = ("sh", "-c", "id -nu; cat /etc/hostname /experiments/*.json")
    names = waiting.podman("exec", *account, waiting.name, *look)
    assert names.stdout.split("\n") == ["alice", "x", '{"visa_passport": 1}'], names

    begun = time.monotonic()
    assert waiting.podman("stop", "-t", "20", waiting.name).returncode == 0
    assert time.monotonic() - begun < 12
    assert waiting.code() == 0


def test_the_door_is_for_root_outside_alone_and_nobody_blocks_it(waiting, door):
    with waiting.knock() as silent, waiting.knock() as partial:
        partial.sendall(document(door)[:100])
        inside = waiting.podman("exec", waiting.name, "python", "-c", KNOCK)
        assert "heard b''" in inside.stdout or "Error" in inside.stderr, inside
        with waiting.knock():
            pass  # says nothing at all, and goes
        # Somebody else of this machine does not even find it.
        look = f"open('/proc/{waiting.pid}/root/run/visa/handover')"
        other = subprocess.run(["python3", "-c", look], user=ALICE.uid, group=ALICE.gid, capture_output=True)
        assert b"PermissionError" in other.stderr
        assert waiting.inspect("{{.State.Running}}") == "true"
        assert waiting.hand_over(document(door)) == {"taken": True}
        for left in (silent, partial):
            try:
                assert left.recv(1) == b"", "the others are shown out"
            except ConnectionResetError:
                pass
    wait_until(lambda: door.heard, 40, "it did not become ready")


def test_what_was_imported_as_root_works_as_the_person(waiting, door, home):
    """Settings in their own home, cookies for the session's own address, kernels under their name."""
    assert waiting.hand_over(document(door)) == {"taken": True}
    wait_until(lambda: door.heard, 40, "it did not become ready")
    door.people["token-of-alice"] = "alice"
    base = f"http://127.0.0.1:{door.heard[0]['port']}/user/alice/x/"
    alice = httpx.Client(base_url=base, headers={"Authorization": "token token-of-alice"}, timeout=20)
    with alice:
        theme = "lab/api/settings/@jupyterlab/apputils-extension:themes"
        alice.put(theme, content=json.dumps({"raw": '{"theme": "JupyterLab Dark"}'})).raise_for_status()
        written = next(home.glob(".jupyter/lab/user-settings/**/themes.jupyterlab-settings"))
        assert written.stat().st_uid == ALICE.uid
        alice.post("api/kernels", json={"name": "python3"}).raise_for_status()
    led = httpx.get(base + "lab", headers={"Sec-Fetch-Mode": "navigate"}, timeout=20)
    assert led.status_code == 302, led.text
    cookies = led.headers.get_list("set-cookie")
    assert cookies and all("Path=/user/alice/x/" in cookie for cookie in cookies), cookies
    wanted, mine = waiting.rights(waiting.pid), waiting.all_rights()
    assert all(held == wanted for held in mine.values()), (wanted, mine)


@pytest.mark.parametrize("fault", ["uid", "files", "cut"])
def test_a_document_that_is_refused_ends_the_container(waiting, door, fault):
    changed = {
        "uid": document(door, uid=0),
        "files": document(door, files="bm8gdGFy"),
        "cut": document(door)[:-9],
    }
    answer = waiting.hand_over(changed[fault])
    assert set(answer) == {"refused"}
    assert waiting.code() == EXIT_BAD_INFO
    assert answer["refused"] in waiting.said
    assert TOKEN not in waiting.said
    assert not door.heard


def test_told_to_stop_it_ends_at_once_and_never_waits_again(waiting):
    waiting.knock().close()
    begun = time.monotonic()
    assert waiting.podman("stop", "-t", "20", waiting.name).returncode == 0
    assert time.monotonic() - begun < 4
    assert waiting.code() == 0
    waiting.podman("start", waiting.name)
    assert waiting.code() == EXIT_NOT_WAITING
    assert "has done so before" in waiting.said


def test_without_its_server_it_does_not_wait(waiting):
    wait_until(lambda: len(waiting.processes()) == 2, 10)
    os.kill(waiting.processes()[1], signal.SIGKILL)
    assert waiting.code() == EXIT_NOT_WAITING
    assert "has ended" in waiting.said
