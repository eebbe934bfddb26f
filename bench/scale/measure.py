"""One site of one size, from its hub's restart to a crowd of starts: what is counted, and what is timed."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from .facility import SESSION, options, person
from .grow import grow
from .people import live, starts, watched
from .site import Site, a_site
from .taken import Taken, taken

#: Pictures of 64 kB that are sent through the proxy, to see what it takes for them.
PICTURES = 4000
#: Beside the hub.
OTHERS = ("portal", "proxy")
#: Seconds that the sessions of a hub that comes back may take to be heard of again.
PATIENCE = 300


@dataclass(frozen=True)
class Plan:
    """How long is looked, and at how many; seconds."""

    quiet: float
    working: float
    most_active: int
    starts: int
    starts_within: float
    #: What the restart has begun is done after so long.
    settle: float = 5


SHORT = Plan(quiet=40, working=40, most_active=50, starts=20, starts_within=20)
BRIEF = Plan(quiet=10, working=10, most_active=50, starts=10, starts_within=10)
WHOLE = Plan(quiet=900, working=120, most_active=500, starts=300, starts_within=60)


def measure(count: int, plan: Plan, database: str = "") -> dict:
    """Figures of a site with so many running sessions; raises BenchFailed."""
    with a_site(count, database, settings={"VisaSite.max_sessions": 0}) as site:
        site.start()
        _first_session(site)
        site.kill_hub(signal.SIGTERM)
        empty_seconds, empty = _restart(site)
        site.kill_hub(signal.SIGTERM)
        grow(site, count)
        found = {"sessions": count, "empty hub, s": empty_seconds, "empty hub, CPU s": empty["cpu"]}
        lost = site.facts()["lines lost"]
        seconds, probe = _restart(site)
        began = time.monotonic()
        found |= {"restart, s": seconds, "restart, CPU s": probe["cpu"]}
        found["restart, statements"] = probe["statements"] - empty["statements"]
        site.until(lambda: site.facts()["with a line"] >= count, PATIENCE, "all sessions are heard of")
        found["all lines back, s"] = time.monotonic() - began
        facts, probe = site.facts(), site.probe()
        found["sessions refused"] = facts["refused"]
        found["lines tried in vain"] = facts["lines lost"] - lost
        found["lines, CPU ms each"] = 1000 * (probe["cpu"] - found["restart, CPU s"]) / count
        print(found, flush=True)
        found |= _quiet(site, count, plan)
        print(found, flush=True)
        found |= _requests(site)
        found |= _working(site, min(count, plan.most_active), plan.working)
        found |= _pictures(site)
        found |= _starting(site, count, plan)
        # What the hub does anyway is counted apart: it is shared by few starts or by many.
        beside = 10 * found["quiet, hub CPU %"] * found["starts, seconds until all are there"] / plan.starts
        found["starts, CPU ms each"] = found["starts, CPU ms each, with all else that runs"] - beside
        found |= _killed(site, count)
        found["database, bytes"] = _size(site)
        return found


def _first_session(site: Site) -> None:
    with httpx.Client(base_url=site.hub, timeout=60) as browser:
        browser.get("/hub/login")
        data = {"username": person(0), "password": "x", "_xsrf": browser.cookies["_xsrf"]}
        browser.post("/hub/login", data=data)
    token = _token(site, 0)
    body = {"display_name": "Work", "user_options": options(0)}
    site.api("POST", f"users/{person(0)}/servers/{SESSION}", token, json=body).raise_for_status()
    site.until(
        lambda: any(one["ready"] for one in site.api("GET", "visa/sessions", token).json()["sessions"]),
        60,
        "the first session is ready",
    )


def _token(site: Site, number: int) -> str:
    return site.api("POST", f"users/{person(number)}/tokens", json={}).json()["token"]


def _restart(site: Site) -> tuple[float, dict]:
    seconds = site.start_hub()
    return seconds, site.probe(reset=True)


def _killed(site: Site, count: int) -> dict:
    """The hub is killed and comes back; meanwhile a session is asked for its page, ten times a second."""
    name = person(count - 1)
    url, host = f"http://127.0.0.1:{site.port}/user/{name}/{SESSION}/lab", f"{name}.localhost:{site.port}"
    answers, over = [], threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30, trust_env=False) as http:
            while not over.wait(0.1):
                answers.append(http.get(url, headers={"Host": host}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    site.kill_hub()
    seconds, probe = _restart(site)
    over.set()
    asking.join()
    wrong = sum(1 for status in answers if status != 200)
    return {
        "killed, pages again after, s": seconds,
        "killed, CPU s until then": probe["cpu"],
        "killed, pages of a session asked for": len(answers),
        "killed, pages of a session missed": wrong,
    }


def _quiet(site: Site, count: int, plan: Plan) -> dict:
    """Nobody does anything: watching, lines and activity alone."""
    seconds = plan.quiet
    time.sleep(plan.settle)
    before, calls, beside = site.probe(reset=True), site.facts(), _beside(site)
    time.sleep(seconds)
    after, now, others = site.probe(reset=True), site.facts(), _beside(site)
    looks = now["calls"].get("GET json", 0) - calls["calls"].get("GET json", 0)
    return {
        "quiet, hub CPU %": 100 * (after["cpu"] - before["cpu"]) / seconds,
        "quiet, CPU ms a session and minute": 60_000 * (after["cpu"] - before["cpu"]) / seconds / count,
        "quiet, statements a session and minute": 60
        * (after["statements"] - before["statements"])
        / seconds
        / count,
        "quiet, engine calls a minute": 60 * looks / seconds,
        "quiet, longest freeze, s": after["longest"],
        "quiet, freezes": [(one["seconds"], one["stack"]) for one in after["stalls"]],
        "hub's memory, bytes": after["rss"],
        "hub's tasks": after["tasks"],
        **{f"quiet, {name} CPU %": 100 * (others[name].cpu - beside[name].cpu) / seconds for name in OTHERS},
        **{f"quiet, {name}'s memory, bytes": others[name].rss for name in OTHERS},
    }


def _beside(site: Site) -> dict[str, Taken]:
    return {name: taken(site.processes[name].pid) for name in OTHERS}


def _requests(site: Site) -> dict:
    """Statements that one request takes, of a hub that does little else."""
    found, token = {}, _token(site, 0)
    for path in ("visa/sessions", "visa/mine", "visa/notices", "visa/options"):
        site.api("GET", path, token)
        taken = []
        for _ in range(5):
            before = site.probe()
            site.api("GET", path, token).raise_for_status()
            taken.append(site.probe()["statements"] - before["statements"])
        # The least: others may have asked meanwhile.
        found[f"statements, {path}"] = min(taken)
    return found


def _working(site: Site, active: int, seconds: float) -> dict:
    before, began = site.probe(reset=True), time.monotonic()
    beside = _beside(site)
    times = asyncio.run(live(site, list(range(active)), seconds, within=max(10, active / 5)))
    after, took = site.probe(reset=True), time.monotonic() - began
    others = {}
    for name, now in _beside(site).items():
        others[f"at work, {name} CPU %"] = 100 * (now.cpu - beside[name].cpu) / took
        others[f"{name}'s memory, bytes"] = now.rss
    return {
        "people at work": active,
        **others,
        "at work, hub CPU %": 100 * (after["cpu"] - before["cpu"]) / took,
        "at work, longest freeze, s": after["longest"],
        "at work, looks": len(times.taken["look"]),
        **{
            f"p95 {what}, s": times.percentile(what)
            for what in ("My sessions", "New session", "session", "websocket")
        },
        "at work, failed": dict(times.failed),
    }


def _pictures(site: Site) -> dict:
    """What the proxy takes to carry a desktop's pictures, by their bytes."""
    before = _beside(site)["proxy"]
    came = asyncio.run(watched(site, 0, PICTURES))
    return {"pictures, proxy CPU s a GB": (_beside(site)["proxy"].cpu - before.cpu) * 1e9 / came}


def _starting(site: Site, people: int, plan: Plan) -> dict:
    numbers = [number % people for number in range(plan.starts)]
    tokens = {number: _token(site, number) for number in {0, *numbers}}
    alone = asyncio.run(starts(site, tokens, [0], 0, "alone"))
    before, began = site.probe(reset=True), time.monotonic()
    times = asyncio.run(starts(site, tokens, numbers, plan.starts_within))
    after, took = site.probe(reset=True), time.monotonic() - began
    return {
        "a lone start, s": alone.percentile("start"),
        "starts": plan.starts,
        "starts, p95, s": times.percentile("start"),
        "starts, statements each": (after["statements"] - before["statements"]) / plan.starts,
        "starts, seconds until all are there": took,
        "starts, commits each": (after["commits"] - before["commits"]) / plan.starts,
        "starts, CPU ms each, with all else that runs": 1000 * (after["cpu"] - before["cpu"]) / plan.starts,
        "starts, longest freeze, s": after["longest"],
        "starts, freezes": [(one["seconds"], one["stack"]) for one in after["stalls"]],
        "starts, failed": dict(times.failed),
    }


def _size(site: Site) -> int:
    kind, _, place = site.database.partition(":///")
    return Path(place).stat().st_size if kind == "sqlite" else 0
