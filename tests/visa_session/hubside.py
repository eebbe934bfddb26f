"""A real hub and proxy for these tests, and the sessions they start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from demo import node
from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE

HERE = Path(__file__).parent
TREE = HERE.parents[1]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_until(true, seconds: float = 10.0, message: str = "") -> None:
    """Wait for `true()`; fails with the message when it does not come."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, message or f"{true} did not come true"
        time.sleep(0.02)


def new_table() -> dict:
    """A session's table that lets nobody in."""
    table = {"members": [], "owner": {"name": "alice", "full_name": "Alice"}, "away": "leave"}
    return table | {"trust_seconds": 60, "requests": [], "help": None, "notices": []}


@dataclass
class Site:
    """The hub and its proxy, in a directory of their own."""

    directory: Path
    port: int = field(default_factory=free_port)
    hub_port: int = field(default_factory=free_port)
    proxy_port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    proxy_token: str = field(default_factory=lambda: secrets.token_hex(16))
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    tables: dict[str, dict] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, name: str, command: list[str], **env: str) -> None:
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.directory,
                env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": self.proxy_token} | env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start_proxy(self) -> None:
        node.install()
        command = [*node.proxy(), "--ip=127.0.0.1", f"--port={self.port}", "--api-ip=127.0.0.1"]
        command += [f"--api-port={self.proxy_port}", f"--default-target=http://127.0.0.1:{self.hub_port}"]
        self.run("proxy", [*command, "--error-target", f"http://127.0.0.1:{self.hub_port}/hub/error"])

    def start_hub(self) -> None:
        settings = {
            "port": self.port,
            "hub_port": self.hub_port,
            "proxy_port": self.proxy_port,
            "token": self.token,
        }
        command = [sys.executable, "-m", "tests.lean_hub", "-f", str(HERE / "hub" / "jupyterhub_config.py")]
        self.run("hub", command, TEST_HUB=json.dumps(settings), PYTHONPATH=str(TREE))
        wait_until(self.answers, 60, "the hub did not come up")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/hub/api/").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """End hub and proxy, and every session that a failed test left."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(20)
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME", "").startswith(str(self.directory)):
                    process.kill()
            except psutil.Error:
                continue

    def api(
        self, method: str, path: str, json: dict | None = None, token: str | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"token {token or self.token}"}
        return httpx.request(method, f"{self.url}/hub/api/{path}", json=json, headers=headers, timeout=90)

    def person(self, name: str) -> str:
        """A token of an account, with all that the account may do; the account is made when new."""
        self.api("POST", f"users/{name}")
        answer = self.api("POST", f"users/{name}/tokens", {})
        answer.raise_for_status()
        return answer.json()["token"]

    def share(self, owner: str, server: str, name: str, control: bool = False, **others) -> None:
        """Let somebody into a session: a share of the hub's, and the table that tells the session."""
        self.api("POST", f"users/{name}")
        scope = CONTROL_SCOPE if control else VIEW_SCOPE
        exactly = f"!server={owner}/{server}"
        wanted = {"user": name, "scopes": ["access:servers" + exactly, scope + exactly]}
        self.api("POST", f"shares/{owner}/{server}", wanted).raise_for_status()
        member = {"name": name, "full_name": name.title(), "role": "collaborator" if control else "viewer"}
        member |= {"support": False, "since": "2026-01-01T00:00:00+00:00", "until": None} | others
        table = self.tables.setdefault(f"{owner}/{server}", new_table())
        table["members"] = [m for m in table["members"] if m["name"] != name] + [member]
        self.tell(owner, server)

    def unshare(self, owner: str, server: str, name: str) -> None:
        """End it. The share of the hub's stays: what counts is the table."""
        table = self.tables.setdefault(f"{owner}/{server}", new_table())
        table["members"] = [m for m in table["members"] if m["name"] != name]
        self.tell(owner, server)

    def tell(self, owner: str, server: str, **changes) -> None:
        """Write the session's table on its line, with changes."""
        table = self.tables.setdefault(f"{owner}/{server}", new_table())
        table.update(changes)
        self.api("PUT", f"tests/table/{owner}/{server}", table).raise_for_status()

    def answer(self, **how) -> None:
        """How sessions' calls are answered from now on: `line=404`, `calls=[409, "words"]`, nothing.

        With `of` that is the line of one session alone: after a 404 a session rests for half a minute.
        """
        self.api("PUT", "tests/answer", how).raise_for_status()

    def heard(self, of: Session, call: str) -> list[dict]:
        """The bodies of what a session has posted, by the end of the call's path."""
        heard = self.api("GET", "tests/heard").json()["heard"]
        mine = [one for one in heard if one["who"] == f"{of.owner}/{of.name}"]
        return [one["body"] for one in mine if one["call"].endswith(call)]

    def entries(self, of: Session) -> list[tuple[str, str]]:
        """Who entered and left a session, each once."""
        told = {entry["key"]: entry for body in self.heard(of, "/entries") for entry in body["entries"]}
        return [(entry["name"], entry["what"]) for entry in told.values()]


@dataclass
class Session:
    """A running session of `owner`."""

    site: Site
    owner: str
    name: str
    token: str

    @property
    def path(self) -> str:
        return f"/user/{self.owner}/{self.name}/"

    @property
    def url(self) -> str:
        return self.site.url + self.path

    @property
    def direct(self) -> str:
        """Its address without the proxy."""
        return f"http://127.0.0.1:{re.findall(r'Ready on port ([0-9]+)', self.log)[-1]}{self.path}"

    def get(self, path: str, token: str | None = None, method: str = "GET", **others) -> httpx.Response:
        headers = {"Authorization": f"token {token or self.token}"} if token != "" else {}
        headers |= others.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **others)

    @property
    def log(self) -> str:
        return (self.site.directory / f"session-{self.owner}-{self.name}.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """Its supervisor and all that descends from it, told by what they were started with."""
        found = []
        for process in psutil.process_iter():
            try:
                env = process.environ()
            except psutil.Error:
                continue
            # By the hub as well: another run of these tests on this machine uses the same names.
            named = (env.get("JUPYTERHUB_USER"), env.get("JUPYTERHUB_SERVER_NAME")) == (self.owner, self.name)
            if named and f":{self.site.hub_port}/" in env.get("JUPYTERHUB_API_URL", ""):
                found.append(process)
        return found


def names(processes: list[psutil.Process]) -> set[str]:
    """The names of those that are still there."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def start_session(
    site: Site,
    owner: str,
    name: str,
    environment: dict[str, str] | None = None,
    container: dict | None = None,
    **info,
) -> Session:
    """Start a session and wait until it is ready.

    With more in its environment, and in a container of `{"image", "mounts"}` where that is given.
    """
    token = site.person(owner)
    options = {"info": info, "environment": environment or {}, "container": container}
    answer = site.api("POST", f"users/{owner}/servers/{name}", options, token)
    assert answer.status_code in (201, 202), answer.text
    ready = lambda: site.api("GET", f"users/{owner}").json()["servers"].get(name, {}).get("ready")  # noqa: E731
    wait_until(ready, 60, "the session did not become ready")
    return Session(site, owner, name, token)


def stop_session(session: Session) -> None:
    """Stop it through the hub."""
    session.site.api("DELETE", f"users/{session.owner}/servers/{session.name}")
    wait_until(lambda: not session.processes(), 20, "the session left processes behind")


async def later(function, *args, **others):
    """Run something that blocks beside the test's event loop."""
    return await asyncio.to_thread(function, *args, **others)
