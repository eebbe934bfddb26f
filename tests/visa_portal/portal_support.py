"""A hub, a proxy and the portal as processes of their own, with a catalogue of 2,000 experiments."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import httpx
import yaml
from portal_cookies import Cookies

from demo import node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "tests" / "results"

NASTY = "\"><script>alert(1)</script> 'quoted' & <b>bold</b>"
NASTY_NAME = "Mallory <script>alert(2)</script> & \u202eCo"
RIGHT_TO_LEFT = "مسح ضوئي للعظام (bone scan)"
TITLES = [
    "Microstructure of additively manufactured titanium under load",
    "Bone remodelling around implants",
    "Phase transitions in battery cathodes, operando",
    "Mapping of trace metals in leaves",
    "Strain fields in turbine blades",
    "Porosity of volcanic rocks",
]
SECRET = "What bob keeps to himself"
PLACES = [("id19", "tomography"), ("bm18", "tomography"), ("id11", "diffraction"), ("id21", "fluorescence")]


def experiments(folder: Path, count: int = 2000) -> list[dict]:
    """Alice's three, one with a title meant to do harm, one written right to left; and open data."""
    made = [
        _experiment(folder, "ma-1", TITLES[0], *PLACES[0], date(2026, 3, 3), None),
        _experiment(folder, "ma-2", NASTY, *PLACES[2], date(2026, 5, 11), None)
        | {"local_contacts": ["lars"]},
        _experiment(folder, "ma-3", RIGHT_TO_LEFT, *PLACES[3], date(2026, 6, 20), None) | {"team": ["alice"]},
        _experiment(folder, "hg-9", SECRET, *PLACES[0], date(2026, 7, 1), None) | {"team": ["bob"]},
    ]
    for number in range(count - len(made)):
        began = date(2015, 1, 1) + timedelta(days=number)
        place = PLACES[number % len(PLACES)]
        title = f"{TITLES[number % len(TITLES)]}, part {number}"
        made.append(_experiment(folder, f"in-{number}", title, *place, began, began + timedelta(days=1000)))
    names = ("ma-1-s1", "ma-1-s2")
    made[0]["datasets"] = [{"id": name, "name": name, "path": f"{made[0]['raw']}/{name}"} for name in names]
    leaf = {"technique": "fluorescence"}
    made[2]["datasets"] = [
        leaf | {"id": name, "name": name, "path": f"{made[2]['raw']}/{name}"}
        for name in (f"leaf_{number:03}" for number in range(120))
    ]
    return made


def _experiment(folder, id, title, instrument, technique, began, open_date):
    root = f"{folder}/visitor/{id}/{instrument}/{began:%Y%m%d}"
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


def _profile(name, title, summary, instruments, techniques, applications, **plans):
    return {
        "name": name,
        "title": title,
        "summary": summary,
        "audience": f"For whoever does {name}",
        "help": f"Begin with {TITLES[0].lower()}.\n\nThen go on with the next one.",
        "licences": [{"software": "silx", "note": "Free software (MIT). Its page says what to cite."}],
        "suits": {"instruments": instruments, "techniques": techniques},
        "image": name,
        "applications": applications,
        "lifetime": {"default_hours": 8, "max_hours": 336, "idle_hours": 4},
        "plans": {key: {"backend": "container"} | plan for key, plan in plans.items()},
    }


SMALL = {"title": "4 cores, 16 GB", "cpus": 4, "memory": "16G"}
BIG = {"title": "Half a machine", "cpus": 32, "memory": "256G"}
CLUSTER = {"title": "Cluster", "backend": "slurm", "cpus": 32, "memory": "256G", "gpus": 2}
CLUSTER |= {"gpu_type": "a100", "hours": 12}
PROFILES = [
    _profile(
        "general",
        "General work",
        "JupyterLab with silx and H5Web, for any data",
        [],
        [],
        [],
        small=SMALL,
        big=BIG,
    ),
    _profile(
        "tomography",
        "Tomography reconstruction",
        "nabu, tomwer and silx, on a GPU where you ask for one",
        ["id19", "bm18"],
        ["tomography"],
        ["silx-view", "tomwer"],
        big=BIG,
        small=SMALL,
        gpu={"title": "1 GPU", "cpus": 8, "memory": "64G", "gpus": 1},
        cluster=CLUSTER,
    ),
    _profile(
        "diffraction",
        "Powder diffraction",
        "pyFAI and silx for frames of area detectors",
        ["id11", "id31"],
        ["diffraction"],
        ["silx-view", "pyfai-calib"],
        small=SMALL,
        large={"title": "16 cores, 64 GB", "cpus": 16, "memory": "64G"},
    ),
    _profile("broken", "Broken", "Its server ends at once", ["none"], ["none"], [], small=SMALL),
    # A session as in an image, with all its defences, of somebody who needs no data.
    _profile("real", "Real", "visa-session", ["none"], ["none"], [], small=SMALL) | {"roles": ["helpdesk"]},
]
ACCOUNTS = {
    "alice": {"uid": 21001, "roles": ["scientist"], "teams": ["ma-1", "ma-2"], "name": "Alice Arnaud"},
    "bob": {"uid": 21002, "roles": ["scientist"], "name": "Bob Berger"},
    "ines": {
        "uid": 21003,
        "roles": ["instrument-scientist"],
        "instruments": ["id19"],
        "name": "Ines Iversen",
    },
    "heidi": {"uid": 21004, "roles": ["helpdesk"], "name": "Heidi Holm"},
    "carol": {"uid": 21005, "roles": ["scientist"], "teams": ["ma-1", "ma-2"], "name": "Carol Cohen"},
    "o'neill": {"uid": 21006, "roles": ["scientist"], "teams": ["ma-1"], "name": "Sinéad O'Neill"},
    "mallory": {"uid": 21009, "roles": ["scientist"], "name": NASTY_NAME},
    "dalal": {"uid": 21007, "roles": ["scientist"], "teams": ["ma-1"], "name": "دلال حداد"},
    "adam": {"uid": 21008, "roles": ["administrator"], "name": "Adam Amundsen"},
    "lars": {"uid": 21009, "roles": ["scientist"], "name": "Lars Lund"},
}


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(url: str, seconds: float = 90, status: int = 200) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=3).status_code == status:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer {status} within {seconds} s")


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
    crypt_key: str = field(default_factory=lambda: secrets.token_hex(32))
    support: str = "user.support@example.org"
    #: Settings of `VisaSharing`.
    sharing: dict = field(default_factory=lambda: {"outsiders_may_watch": True, "owner_absent": "two-staff"})

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
        names = ("public", "api", "hub_port", "portal_port", "admin_token", "portal_token", "url", "sharing")
        given = {name: getattr(self, name) for name in names}
        given |= {"folder": str(self.folder), "package": str(ROOT / "visa_portal"), "accounts": self.accounts}
        return wanted | {
            "PYTHONPATH": f"{ROOT}:{HERE}:{HERE.parent / 'visa_spawner'}",
            "CONFIGPROXY_AUTH_TOKEN": self.proxy_token,
            "JUPYTERHUB_CRYPT_KEY": self.crypt_key,
            "TEST_SITE": json.dumps(given),
        }

    @property
    def accounts(self) -> dict[str, dict]:
        homes = {"home": str(self.folder / "home")}
        return {
            name: {"username": name, "gid": about["uid"]} | about | {"home": f"{homes['home']}/{name}"}
            for name, about in ACCOUNTS.items()
        }

    def run(self, name: str, command: list[str], **environment) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, cwd=self.folder, env=self.environment | environment, stdout=log, stderr=log
        )

    def start_proxy(self) -> None:
        node.install()
        command = [*node.proxy(), "--ip", "127.0.0.1", "--port", str(self.public), "--host-routing"]
        command += ["--api-ip", "127.0.0.1", "--api-port", str(self.api)]
        command += ["--error-target", f"{self.direct}proxy-error"]
        self.run("proxy", command)

    def start_hub(self) -> None:
        self.run("hub", [sys.executable, "-m", "tests.lean_hub", "-f", str(HERE / "portal_hub_config.py")])

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

    def furnish(self) -> None:
        """Catalogue, profiles, homes and the data that sessions are given."""
        made = experiments(self.folder)
        lines = [json.dumps(one, ensure_ascii=False) for one in made]
        (self.folder / "experiments.jsonl").write_text("\n".join(lines) + "\n")
        for one in made[:4]:
            Path(one["raw"]).mkdir(parents=True)
            Path(one["processed"]).mkdir(parents=True)
        for name, about in ACCOUNTS.items():
            home = self.folder / "home" / name
            home.mkdir(parents=True)
            os.chown(home, about["uid"], about["uid"])
            home.chmod(0o700)
        (self.folder / "profiles").mkdir()
        for profile in PROFILES:
            (self.folder / "profiles" / f"{profile['name']}.yaml").write_text(
                yaml.safe_dump(profile, sort_keys=False)
            )
        (self.folder / "marks").mkdir()

    @contextmanager
    def held(self, name: str = "hold", words: str = ""):
        """While inside, starts wait (`hold`), or the backend cannot tell how anything stands (`down`).

        What else there is to hold, and the words of it, stands in portal_queue.py.
        """
        mark = self.folder / "marks" / name
        mark.write_text(words)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def start(self) -> None:
        self.furnish()
        self.start_proxy()
        self.start_hub()
        self.start_portal()
        wait_for(f"{self.direct}health")
        wait_for(f"http://localhost:{self.public}/hub/health")
        wait_for(f"{self.url}health")

    def close(self) -> None:
        for name in ACCOUNTS:
            # A hub that never came up has no table either.
            with suppress(httpx.HTTPError, sqlite3.Error):
                self.clear(name)
        for name in list(self.processes):
            self.stop(name)
        for file in (self.folder / "marks").glob("*.pid"):
            with suppress(OSError, ValueError):
                os.killpg(int(file.read_text()), signal.SIGKILL)

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
        self.forget_passports(user)

    def forget_passports(self, user: str) -> None:
        """Or what a test used would be suggested to the next one."""
        with closing(sqlite3.connect(self.folder / "jupyterhub.sqlite", timeout=30)) as db, db:
            mine = "passport_id IN (SELECT id FROM visa_passports WHERE owner = ?)"
            db.execute(f"DELETE FROM visa_passport_experiments WHERE {mine}", [user])
            db.execute("DELETE FROM visa_passports WHERE owner = ?", [user])

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def client(self, user: str | None, **options) -> httpx.Client:
        """A browser without script: cookies kept, redirects followed; logged in where a user is named."""
        cookies = Cookies()
        client = httpx.Client(
            event_hooks={"request": [cookies.send], "response": [cookies.keep]},
            follow_redirects=True,
            timeout=30,
            headers={"Sec-Fetch-Mode": "navigate", "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"},
            **options,
        )
        client.kept = cookies.kept
        if user is not None:
            page = client.get(f"{self.hub}login")
            form = {"username": user, "password": "secret", "_xsrf": hidden(page.text, "_xsrf")}
            client.post(f"{self.hub}login", data=form)
        return client


def hidden(html: str, name: str) -> str:
    """The value of a form's hidden field."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "html.parser").select_one(f'input[name="{name}"]')["value"]
