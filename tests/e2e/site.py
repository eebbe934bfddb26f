"""The real site under test: `python -m demo` as in the README, on ports and a run folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil

from demo import machines, software
from demo.cluster import inside, people
from demo.cluster.layout import Cluster
from demo.facility.tree import MARKER
from demo.processes import die_with_parent
from images.engine import podman_environment

ROOT = Path(__file__).resolve().parents[2]
PORT = 18600
HOMES = Path("/data/home-e2e")
#: Of the profiles that are started here, in the order in which they are made; most tests need the first.
IMAGES = ("general", "tomography")


@dataclass
class RunningSite:
    """A running demo: its process, its run folder and what site.json says."""

    process: subprocess.Popen
    run: Path

    @property
    def content(self) -> dict:
        return json.loads((self.run / "site.json").read_text())

    @property
    def url(self) -> str:
        return self.content["url"]

    @property
    def hub_id(self) -> str:
        return f"demo-{PORT}"

    def pid(self, part: str) -> int:
        return int((self.run / "pids" / part).read_text())

    def log(self, part: str) -> str:
        return (self.run / "logs" / f"{part}.log").read_text(errors="replace")

    def wait_for_software(self, name: str, seconds: float = 600) -> None:
        """Until the image of a profile is there, for containers and for the cluster's nodes."""
        for _ in patiently(seconds):
            said = (self.run / "demo.log").read_text()
            if (self.run / "site.json").exists() and f"software of {name} is there" in said:
                return
            if self.process.poll() is not None:
                break
        raise AssertionError(f"the software of {name} did not come:\n{said[-4000:]}")

    def kill(self, part: str, signum: int = signal.SIGKILL) -> None:
        os.kill(self.pid(part), signum)

    def account(self, name: str) -> Account:
        return Account(self, name)

    def accounts(self, role: str | None = None) -> list[str]:
        return [name for name, it in self.content["accounts"].items() if role is None or role in it["roles"]]

    def containers(self, *filters: str, fields: str = "{{.ID}}") -> list[str]:
        """This site's containers, running or not, as the engine itself lists them."""
        wanted = [word for one in (f"label=visa.hub={self.hub_id}", *filters) for word in ("--filter", one)]
        return podman("ps", "-a", "--no-trunc", *wanted, "--format", fields).split("\n")[:-1]

    def of_session(self, owner: str, name: str) -> list[str]:
        """A session's containers by their name, which also one has that waited for its session."""
        return self.containers(f"name=^visa-{self.hub_id}-{owner}-{name}-")


@dataclass
class Account:
    """One account of the site, acting by its token at the hub's REST API and in its sessions."""

    site: RunningSite
    name: str

    @property
    def password(self) -> str:
        return self.site.content["accounts"][self.name]["password"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.site.content['accounts'][self.name]['token']}"}

    def call(self, method: str, path: str, **options) -> httpx.Response:
        """A request to the hub's REST API."""
        return httpx.request(
            method,
            f"{self.site.url}/hub/api/{path}",
            headers=self.headers,
            timeout=60,
            trust_env=False,
            **options,
        )

    def start(self, name: str, **user_options) -> httpx.Response:
        return self.call("POST", f"users/{self.name}/servers/{name}", json={"user_options": user_options})

    def started(self, name: str, **user_options) -> dict:
        """Start a session and wait until it runs; gives its record."""
        answer = self.start(name, **user_options)
        assert answer.status_code in (201, 202), answer.text
        return self.until(name, "running")

    def sessions(self) -> dict[str, dict]:
        return {
            it["name"]: it for it in self.call("GET", "visa/sessions").raise_for_status().json()["sessions"]
        }

    def until(self, name: str, state: str, seconds: float = 60) -> dict:
        """Wait until a session is in a state; gives its record."""
        record = None
        for _ in patiently(seconds):
            record = self.sessions().get(name)
            if record and record["state"] == state:
                return record
        raise AssertionError(f"{self.name}/{name} is not {state} after {seconds} s: {record}")

    def remove(self, name: str) -> None:
        """Stop and delete a session, and wait until nothing of it is left."""
        for _ in patiently(60):
            answer = self.call("DELETE", f"users/{self.name}/servers/{name}", json={"remove": True})
            if answer.status_code in (204, 404):
                return
        raise AssertionError(f"{self.name}/{name} cannot be removed: {answer.status_code} {answer.text}")

    def in_session(self, name: str, path: str) -> httpx.Response:
        """A GET to the session's own server, through the proxy."""
        url = f"{self.site.url.replace('://', f'://{self.name}.')}/user/{self.name}/{name}/{path}"
        return httpx.get(url, headers=self.headers, timeout=20, trust_env=False)

    def container(self, name: str) -> str:
        (found,) = self.site.of_session(self.name, name)
        return found

    def run(self, name: str, script: str, user: str | None = None) -> subprocess.CompletedProcess:
        """Run a shell script inside the session's container, as its owner unless `user` says otherwise."""
        # What an engine runs in a container that waited is root's, and without the session's variables.
        cluster = Cluster(Path("/var/lib/visa") / self.site.hub_id / "cluster", 0)
        variables = {"HOME": f"{HOMES}/{self.name}", "USER": self.name, **inside.environment(cluster)}
        given = [word for one in variables.items() for word in ("--env", "=".join(one))]
        as_user = ["--user", user or self.name]
        return subprocess.run(
            ["podman", "exec", *as_user, *given, self.container(name), "sh", "-c", script],
            capture_output=True,
            text=True,
            env=podman_environment(),
            timeout=60,
        )


def patiently(seconds: float, step: float = 0.2):
    """Yield until `seconds` are over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(step)


def podman(*arguments: str) -> str:
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, env=podman_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_site(run: Path) -> RunningSite:
    """Start the demo, wait for site.json and the first image; its words go to demo.log in the run folder."""
    remove_homes()
    run.mkdir(parents=True, exist_ok=True)
    (run / "site.json").unlink(missing_ok=True)
    log = open(run / "demo.log", "wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={
            **os.environ,
            "VISA_DEMO_PORT": str(PORT),
            "VISA_DEMO_RUN": str(run),
            "VISA_DEMO_HOMES": str(HOMES),
            software.VARIABLE: " ".join(IMAGES),
            machines.VARIABLE: "0",  # a disk more, and machines in software: tests/visa_spawner/vm has them
        },
        stdout=log,
        stderr=log,
        # A run of the tests that is killed leaves no demo behind.
        preexec_fn=partial(die_with_parent, signal.SIGTERM),
    )
    site = RunningSite(process, run)
    try:
        site.wait_for_software(IMAGES[0])
    except BaseException:
        process.kill()
        raise
    return site


def stop_site(site: RunningSite) -> None:
    """Ctrl-C, as a person would; leaves nothing behind."""
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(90) == 0, (site.run / "demo.log").read_text()[-4000:]
    assert site.containers() == []
    with open("/proc/self/mounts") as mounts:
        assert f"/run/visa/{site.hub_id}/" not in mounts.read()
    cluster = Path("/var/lib/visa") / site.hub_id
    assert not [it.pid for it in psutil.process_iter(["cmdline"]) if str(cluster) in str(it.info["cmdline"])]
    assert site.hub_id not in people.owners()
    shutil.rmtree(cluster)
    remove_homes()


def remove_homes() -> None:
    """People's settings outlive a session; no test may depend on what another left there."""
    if (HOMES / MARKER).is_file():
        shutil.rmtree(HOMES)
