"""The hub killed before, during and after the engine's create and start: real hub, VisaSpawner, Podman."""

import contextlib
import time
from urllib.parse import urlsplit

import httpx
import pytest
from container_hub import HUB_ID, container_hub
from spawner_support import GOOD_OPTIONS


@pytest.fixture
def hub(podman, site_files, monkeypatch):
    with container_hub(podman, site_files, monkeypatch) as hub:
        yield hub


def options(**changes):
    return GOOD_OPTIONS | {"interface": "lab"} | changes


def states(podman):
    return {one["Labels"]["visa.session"]: one["State"] for one in podman.containers(HUB_ID)}


def answers(hub, name):
    """Whether a session's server answers a browser, through the proxy."""
    try:
        answer = httpx.get(f"{hub.url}/user/alice/{name}/", timeout=5)
    except httpx.TransportError:
        return False
    return answer.headers.get("server", "").lower().find("tornado") < 0 and answer.status_code in (200, 404)


# What must be seen before the kill, and seconds after it.
MOMENTS = [
    ("nothing", 0.0),
    ("nothing", 0.03),
    ("remembered", 0.0),
    ("remembered", 0.02),
    ("remembered", 0.04),
    ("remembered", 0.07),
    ("remembered", 0.1),
    ("running", 0.0),
    ("running", 0.1),
    ("ready", 0.0),
]


def await_moment(hub, podman, name, moment):
    def seen():
        if moment == "nothing":
            return True
        if moment == "remembered":
            return f"{HUB_ID}-alice-{name}-" in hub_database(hub)
        if moment == "ready":
            return hub.session(name)["state"] == "running"
        return states(podman).get(f"alice/{name}") == "running"

    limit = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < limit, f"{name} never was {moment}"
        time.sleep(0.002)


def hub_database(hub):
    found = b""
    for path in hub.root.glob("jupyterhub.sqlite*"):
        # SQLite's journal comes and goes.
        with contextlib.suppress(FileNotFoundError):
            found += path.read_bytes()
    return found.decode(errors="replace")


def test_a_hub_killed_at_any_moment_of_a_start_loses_and_forgets_nothing(hub, podman):
    # One that runs all the while, and must be open to its browser each time.
    hub.start_session("steady", options())
    hub.until(lambda: hub.session("steady")["state"] == "running", 30, "steady runs")
    hub.until(lambda: answers(hub, "steady"), 10, "steady is open")
    found_at_kill = []
    for number, (moment, later) in enumerate(MOMENTS):
        name = f"s{number}"
        # Nobody waits for the answer: the hub dies first.
        start_without_waiting(hub, name)
        await_moment(hub, podman, name, moment)
        time.sleep(later)
        hub.kill()
        found_at_kill.append(states(podman).get(f"alice/{name}", "none"))
        assert answers(hub, "steady"), "the killed hub took a running session's route with it"
        hub.start()
        hub.until(lambda: settled(hub), 40, f"all is settled after a kill at {moment}")
        hub.until(lambda: matches(hub, podman), 20, f"every container belongs to a session after {moment}")
        for session in hub.api("GET", "visa/sessions", "alice").json()["sessions"]:
            if session["state"] == "running":
                hub.until(lambda name=session["name"]: answers(hub, name), 10, f"{session['name']} is open")
        assert hub.session("steady")["state"] == "running"
        if hub.session(name):
            hub.stop_session(name)
    # The kills did come at different moments, or nothing was shown.
    assert {"none", "running"} <= set(found_at_kill), found_at_kill
    hub.stop_session("steady")
    assert states(podman) == {}
    assert hub.mounts() == []


def start_without_waiting(hub, name):
    body = {"display_name": name, "user_options": options()}
    token = hub.token("alice")
    url = urlsplit(hub.hub_url)
    with httpx.Client(timeout=httpx.Timeout(10, read=0.001)) as client:
        try:
            client.post(
                f"http://127.0.0.1:{url.port}/hub/api/users/alice/servers/{name}",
                headers={"Authorization": f"token {token}"},
                json=body,
            )
        except httpx.ReadTimeout:
            return


def settled(hub):
    sessions = hub.api("GET", "visa/sessions", "alice").json()["sessions"]
    return all(session["state"] in ("running", "stopped", "failed") for session in sessions)


def matches(hub, podman):
    sessions = hub.api("GET", "visa/sessions", "alice").json()["sessions"]
    live = {f"alice/{session['name']}" for session in sessions if session["state"] == "running"}
    names = [one["Labels"]["visa.session"] for one in podman.containers(HUB_ID)]
    return sorted(names) == sorted(live) and set(states(podman).values()) <= {"running"}
