"""The processes: the real hub, portal and proxy, and the stand-in for nodes and sessions."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.hub import BenchFailed
from demo import node

from .facility import furnish

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Site:
    """One site below `root`; `database` is SQLAlchemy's address, `nodes` how many machines it seems to have.

    `settings` are traits of the hub to set, as `{"VisaSite.keep_interval": 30}`.
    """

    def __init__(self, root: Path, database: str, nodes: int, settings: dict | None = None):
        self.root, self.database, self.settings = root, database, settings or {}
        self.nodes = [f"n{number:03}" for number in range(nodes)]
        self.port, hub, proxy_api, self.portal_port, self.session_port = free_ports(5)
        self.hub, self.proxy_api = f"http://127.0.0.1:{hub}", f"http://127.0.0.1:{proxy_api}"
        self.url = f"http://localhost:{self.port}"
        self.portal_url = f"http://visa--service.localhost:{self.port}/services/visa/"
        self.token, self.proxy_token, self.portal_token, self.crypt_key = (
            secrets.token_hex(32) for _ in "1234"
        )
        self.sockets = root / "sockets"
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        self.processes: dict[str, subprocess.Popen] = {}
        self.http = httpx.Client(timeout=60, trust_env=False)
        self.bench = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.sockets / "bench.sock")), timeout=120
        )

    def start(self) -> None:
        """All four, the hub last."""
        self.start_engines()
        self.start_proxy()
        self.start_portal()
        self.start_hub()

    def start_engines(self) -> None:
        told = {"folder": str(self.sockets), "nodes": len(self.nodes), "port": self.session_port}
        self._run(
            "engines", [sys.executable, "-m", "bench.scale.engine", json.dumps(told)], PYTHONPATH=str(ROOT)
        )
        self.until(lambda: self._answers(self.bench, "http://bench/bench"), 30, "the engines answer")

    def start_proxy(self) -> None:
        node.install()
        command = [*node.proxy(), "--ip", "127.0.0.1", "--port", str(self.port), "--host-routing"]
        command += ["--api-ip", "127.0.0.1", "--api-port", self.proxy_api.rpartition(":")[2]]
        command += ["--error-target", f"http://127.0.0.1:{self.portal_port}/services/visa/proxy-error"]
        self._run("proxy", command, CONFIGPROXY_AUTH_TOKEN=self.proxy_token)
        self.until(
            lambda: self._answers(self.http, f"{self.proxy_api}/api/routes", 403), 60, "the proxy is up"
        )

    def start_portal(self) -> None:
        self._run(
            "portal",
            [str(BIN / "visa-portal")],
            VISA_FACILITY="Scale",
            VISA_CATALOGUE=f"file://{self.root}/experiments.jsonl",
            JUPYTERHUB_API_TOKEN=self.portal_token,
            JUPYTERHUB_API_URL=f"{self.hub}/hub/api",
            JUPYTERHUB_SERVICE_URL=f"http://127.0.0.1:{self.portal_port}",
            JUPYTERHUB_PUBLIC_URL=self.portal_url,
            JUPYTERHUB_PUBLIC_HUB_URL=f"{self.url}/hub/",
        )

    def start_hub(self, patience: float = 300) -> float:
        """Start it; returns the seconds until its pages answered."""
        told = {
            "root": str(self.root),
            "hub": self.hub,
            "proxy_api": self.proxy_api,
            "database": self.database,
            "token": self.token,
            "sockets": str(self.sockets),
            "nodes": self.nodes,
            "probe": str(self.sockets / "probe.sock"),
            "settings": self.settings,
        }
        began = time.monotonic()
        self._run(
            "hub",
            [str(BIN / "jupyterhub"), "-f", str(ROOT / "jupyterhub_config.py")],
            VISA_SCALE=json.dumps(told),
            PYTHONPATH=str(ROOT),
            VISA_URL=self.url,
            VISA_FACILITY="Scale",
            VISA_CATALOGUE=f"file://{self.root}/experiments.jsonl",
            VISA_PORTAL_ADDRESS=f"http://127.0.0.1:{self.portal_port}",
            VISA_PORTAL_TOKEN=self.portal_token,
            VISA_CONFIG_D=str(Path(__file__).parent / "jupyterhub_config.d"),
            CONFIGPROXY_AUTH_TOKEN=self.proxy_token,
            JUPYTERHUB_CRYPT_KEY=self.crypt_key,
        )
        self.until(lambda: self._answers(self.http, f"{self.hub}/hub/health"), patience, "the hub answers")
        return time.monotonic() - began

    def kill_hub(self, kind: int = signal.SIGKILL) -> None:
        hub = self.processes.pop("hub")
        hub.send_signal(kind)
        hub.wait()

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.http.close()
        self.bench.close()

    # Asking ------------------------------------------------------------------------------------------
    def api(self, method: str, path: str, token: str = "", **options) -> httpx.Response:
        """A call at the hub's REST API, as the bench's own service unless a token is given."""
        headers = {"Authorization": f"token {token or self.token}"}
        return self.http.request(method, f"{self.hub}/hub/api/{path}", headers=headers, **options)

    def probe(self, reset: bool = False) -> dict:
        """What the hub's own probe has counted; `reset`: it forgets the freezes so far."""
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(60)
            one.connect(str(self.sockets / "probe.sock"))
            one.sendall(b"reset\n" if reset else b"\n")
            pieces = []
            while piece := one.recv(1 << 16):
                pieces.append(piece)
        return json.loads(b"".join(pieces))

    def facts(self) -> dict:
        """How the sessions stand, as they see it."""
        return self.bench.get("http://bench/bench").json()

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def until(self, condition, seconds: float, what: str):
        """Wait for something to become true, and give it; raises BenchFailed when it does not."""
        limit = time.monotonic() + seconds
        while not (found := condition()):
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > limit:
                error = BenchFailed(f"not within {seconds:.0f} s: {what}")
                for name in dead or ["hub"]:
                    error.add_note(self.log(name)[-3000:])
                raise error
            time.sleep(0.02)
        return found

    @staticmethod
    def _answers(client: httpx.Client, url: str, status: int = 200) -> bool:
        try:
            return client.get(url).status_code == status
        except httpx.TransportError:
            return False

    def _run(self, name: str, command: list[str], **environment: str) -> None:
        environment |= {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/root"}
        with open(self.root / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=log, start_new_session=True
            )


@contextmanager
def a_site(people: int, database: str = "", nodes: int = 50, settings: dict | None = None):
    """A furnished site that is not started; removed afterwards. `database`: by default SQLite below it."""
    # Where only root may write, as at a facility.
    root = Path(tempfile.mkdtemp(prefix="visa-scale-", dir="/var/lib"))
    root.chmod(0o755)
    furnish(root, people)
    site = Site(root, database or f"sqlite:///{root}/hub.sqlite", nodes, settings)
    try:
        yield site
    finally:
        site.close()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if str(root) in line:
                subprocess.run(["umount", line.split()[4]], check=False)
        shutil.rmtree(root, ignore_errors=True)
