"""What the site withstands with sessions running: dead parts, dead sessions, bad requests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from .site import IMAGES, Account, RunningSite, patiently


@pytest.fixture(scope="module")
def running(site: RunningSite):
    """A session of dawid's."""
    dawid = site.account("dawid")
    dawid.started("steady", experiments=[own(site, "dawid")], profile="general", plan="small")
    yield dawid
    dawid.remove("steady")


def own(site: RunningSite, name: str) -> str:
    """An experiment of that person's team with data on disk."""
    lines = (site.run / "experiments.jsonl").read_text().splitlines()
    entries = (json.loads(line) for line in lines)
    return next(it["id"] for it in entries if name in it["team"] and Path(it["raw"]).is_dir())


def answers(account: Account, name: str) -> bool:
    try:
        return account.in_session(name, "api").status_code == 200
    except httpx.TransportError:
        return False


class Watching:
    """Asks a session all the while, through the proxy, and counts what did not come back."""

    def __init__(self, account: Account, name: str):
        self.account, self.name, self.good, self.bad = account, name, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            if answers(self.account, self.name):
                self.good += 1
            else:
                self.bad += 1

    def __enter__(self):
        self._thread.start()
        return self

    def goes_on(self, count: int) -> None:
        """Return after that many more questions; what they found is for the test to judge."""
        wanted = self.good + self.bad + count
        for _ in patiently(60):
            if self.good + self.bad >= wanted:
                return
        raise AssertionError(f"not asked {count} times in a minute")

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def hub_is_back(site: RunningSite, old: int) -> None:
    for _ in patiently(60):
        try:
            up = httpx.get(f"{site.url}/hub/health", trust_env=False, timeout=5).status_code == 200
            if site.pid("hub") != old and up:
                return
        except (httpx.TransportError, FileNotFoundError):
            continue
    raise AssertionError("the hub did not come back")


def test_the_hub_killed_leaves_every_route_up(running, site: RunningSite):
    before, container = site.pid("hub"), running.container("steady")
    assert answers(running, "steady")  # known to the session, as somebody who has it open
    with Watching(running, "steady") as watching:
        site.kill("hub", signal.SIGKILL)
        hub_is_back(site, before)
        running.until("steady", "running")
        # A restarted hub looks at routes and sessions after it answers: that must harm none.
        watching.goes_on(25)
    assert watching.bad == 0
    assert watching.good > 20
    assert running.container("steady") == container


def test_a_restarted_proxy_has_every_route_back_in_seconds(running, site: RunningSite):
    before = site.pid("proxy")
    site.kill("proxy", signal.SIGKILL)
    for _ in patiently(10, 0.05):
        if site.pid("proxy") != before:
            break
    began = time.monotonic()
    for _ in patiently(20):
        if answers(running, "steady"):
            break
    assert time.monotonic() - began < 10
    assert answers(running, "steady")
    assert running.call("GET", "visa/sessions").status_code == 200


def test_another_container_that_comes_or_goes_stalls_nobody(running):
    """The bridge's hardware address, which every session knows by heart, is nobody's to change."""
    address = Path("/sys/class/net/podman0/address")
    before = address.read_text()
    assert answers(running, "steady")
    with Watching(running, "steady") as watching:
        for _ in range(3):
            ip("link", "add", "visa-low", "address", "02:00:00:00:00:01", "type", "veth")
            try:
                ip("link", "set", "visa-low", "master", "podman0", "up")
                watching.goes_on(5)
                assert address.read_text() == before
            finally:
                ip("link", "delete", "visa-low")
            watching.goes_on(5)
    assert address.read_text() == before
    assert watching.bad == 0
    assert watching.good > 10


def test_the_portal_comes_back_and_knows_the_session(running, site: RunningSite):
    before = site.pid("portal")
    site.kill("portal", signal.SIGKILL)
    for _ in patiently(20):
        if site.pid("portal") != before:
            break
    assert running.until("steady", "running")["ready"]


async def test_a_silent_engine_is_unknown_and_not_dead(running, site: RunningSite, person):
    """The engine stands still for half a minute: shown as unknown, nothing lost, running again after."""
    container = running.container("steady")
    engine = site.pid("engine")
    os.kill(engine, signal.SIGSTOP)
    try:
        began = time.monotonic()
        record = running.until("steady", "unknown", 25)
        assert "does not answer" in record["words"]
        async with person("dawid") as page:
            tile = page.locator("li.tile")
            await expect(tile).to_contain_text("nknown")
            await expect(tile.get_by_role("link", name="Open JupyterLab")).to_be_visible()
        assert answers(running, "steady")
        await asyncio.sleep(max(0, 30 - (time.monotonic() - began)))
        assert running.sessions()["steady"]["state"] == "unknown"
    finally:
        os.kill(engine, signal.SIGCONT)
    running.until("steady", "running", 30)
    assert running.container("steady") == container


async def test_a_session_whose_server_dies_at_start_says_why(site: RunningSite, person):
    """The home cannot be written: the tile says so, and only staff see the log's last lines."""
    bob = site.account("bob")
    home = Path(json.loads((site.run / "accounts.json").read_text())["bob"]["homeDirectory"])
    home.chmod(0o500)
    try:
        bob.start("broken", experiments=[own(site, "bob")], profile="general", plan="small")
        record = bob.until("broken", "failed", 30)
    finally:
        home.chmod(0o700)
    assert "home" in record["words"]
    assert "log" not in record
    seen = site.account("hugo").call("GET", "visa/sessions", params={"owner": "bob"}).json()["sessions"]
    assert any("home" in line for line in seen[0]["log"])
    async with person("bob") as page:
        tile = page.locator("li.tile", has_text="broken")
        await expect(tile.locator(".words")).to_contain_text("home")
        await expect(tile.locator("pre")).to_have_count(0)
    assert site.of_session("bob", "broken") == []
    bob.remove("broken")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("surprise", {"surprise": 1}),
        ("profile", {"profile": "nothing"}),
        ("plan", {"plan": "enormous"}),
        ("experiments", {"experiments": ["../../etc"]}),
        ("experiments", {"experiments": ["a;b"]}),
        ("experiments", {"experiments": ["$(x)"]}),
        ("experiments", {"experiments": ["x" * 4096]}),
        ("lifetime_hours", {"lifetime_hours": 100000}),
    ],
)
def test_a_bad_request_names_its_field_and_starts_nothing(site: RunningSite, field, options):
    ines = site.account("ines")
    answer = ines.start("refused", **{"profile": "general", "plan": "small", **options})
    assert 400 <= answer.status_code < 500
    assert answer.json()["message"].startswith(field)
    assert site.of_session("ines", "refused") == []
    assert "refused" not in ines.sessions()


def test_an_experiment_of_another_team_does_not_exist(site: RunningSite):
    other = next(it for it in map(lambda name: own(site, name), ["dawid"]))
    answer = site.account("sam").start("theirs", experiments=[other], profile="general", plan="small")
    missing = site.account("sam").start("theirs", experiments=["zz-1"], profile="general", plan="small")
    assert answer.status_code == missing.status_code
    assert answer.json()["message"].replace(other, "ID") == missing.json()["message"].replace("zz-1", "ID")
    assert site.account("sam").sessions() == {}


def test_two_people_and_the_last_gpu(site: RunningSite):
    """Two GPUs, three people at once: two get one each, not the same one, the third is told at once."""
    people = [site.account(name) for name in ("alice", "bob", "chloe")]
    starts: dict[str, httpx.Response] = {}
    profile, plan = gpu_plans(people[0])[0]

    def start(person: Account) -> None:
        chosen = [own(site, person.name)]
        starts[person.name] = person.start("gpu", experiments=chosen, profile=profile, plan=plan["name"])

    threads = [threading.Thread(target=start, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        won = [person for person in people if starts[person.name].is_success]
        assert len(won) == 2, {name: answer.text for name, answer in starts.items()}
        (lost,) = [answer for answer in starts.values() if not answer.is_success]
        assert "GPU" in lost.json()["message"]
        for person in won:
            person.until("gpu", "running")
        given = [person.run("gpu", "ls -d /run/visa/*/gpu*").stdout.split() for person in won]
        assert all(len(devices) == 1 for devices in given)
        assert given[0] != given[1]
        room = [plan["free"] for _, plan in gpu_plans(people[0])]
        assert room and all(it["sessions"] == 0 and "GPU" in it["words"] for it in room)
    finally:
        for person in people:
            person.remove("gpu")


def gpu_plans(account: Account) -> list[tuple[str, dict]]:
    """Profile and plan of each on this machine with a GPU and an image; the cluster's are others."""
    profiles = account.call("GET", "visa/options").json()["profiles"]
    plans = [(one["name"], plan) for one in profiles if one["name"] in IMAGES for plan in one["plans"]]
    return [(name, plan) for name, plan in plans if plan["gpus"] and plan["backend"] == "container"]
