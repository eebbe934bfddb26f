"""The hub killed at each step of a hand-over: real hub, VisaSpawner, Podman, and the real waiting session."""

from functools import partial

import engines
import httpx
import local_hub
import pytest
import warm_support
import yaml
from local_hub import Hub
from test_kill import answers, settled, start_without_waiting

HUB_ID = f"{engines.HUB}-warmkill"

SETTINGS = """
import asyncio, pathlib, time
from visa_spawner.backends.hands.client import Hands
from visa_spawner.backends.warm.handover import Taking

def hold(step):
    # Where the test says so the hub stands still, until it is killed.
    marks = pathlib.Path(SETTINGS["marks"])
    if (marks / ("hold-" + step)).exists():
        (marks / ("at-" + step)).touch()
        time.sleep(60)  # until it is killed, which is what is tried

hand_over, rename, give = Taking._hand_over, Taking._rename, Hands.hand_over

async def held_hand_over(self, *arguments):
    hold("taken")
    return await hand_over(self, *arguments)

async def held_rename(self, one):
    hold("committed")
    await rename(self, one)
    hold("renamed")

async def held_give(self, *arguments, **others):
    going = asyncio.ensure_future(give(self, *arguments, **others))
    await asyncio.sleep(0.02)
    hold("handing")
    await going
    hold("handed")

Taking._hand_over, Taking._rename, Hands.hand_over = held_hand_over, held_rename, held_give
c.JupyterHub.hub_connect_url = {connect!r}
c.ContainerBackend.hub_id = {hub!r}
c.ContainerBackend.nodes = [
    {{"name": "here", "engine": {engine!r}, "network": {network!r}, "cpus": 16, "memory": "16G"}}
]
c.ContainerBackend.image_template = {image!r}
c.ContainerBackend.watch_interval = 0.5
c.ContainerBackend.stop_grace = 1
c.ContainerBackend.warm_memory = "1G"
c.ContainerBackend.warm_most = 1
prepare(c)
"""


@pytest.fixture
def hub(podman, site_files, monkeypatch):
    warm_support.add_image(podman)
    profile = site_files / "profiles/general.yaml"
    values = yaml.safe_load(profile.read_text())
    values["plans"]["small"]["warm"] = True
    profile.write_text(yaml.safe_dump(values))
    port = local_hub.free_ports(1)[0]
    gateway = podman.client.inspect_network(podman.network)["IPAM"]["Config"][0]["Gateway"]
    settings = SETTINGS.format(
        connect=f"http://{gateway}:{port}",
        hub=HUB_ID,
        engine=podman.address,
        network=podman.network,
        image=warm_support.IMAGE,
    )
    # The text is formatted once more there.
    settings = settings.replace("{", "{{").replace("}", "}}")
    monkeypatch.setattr(Hub, "config", local_hub.CONFIG.replace("prepare(c)\n", settings))
    hub = Hub(
        site_files,
        backends={"container": "visa_spawner.backends.container.ContainerBackend"},
        max_sessions=20,
        pin_binds=True,
    )
    # The bridge is there only while a container runs, so the hub listens everywhere.
    hub.hub_url = f"http://0.0.0.0:{port}"
    try:
        yield hub.start()
    finally:
        print(hub.log.read_text()[-6000:])
        hub.close()
        engines.remove_all(podman)


def there(podman):
    """The ids of this hub's containers, by name."""
    return {one["Names"][0].strip("/"): one["Id"] for one in podman.containers(HUB_ID)}


def waiting(podman):
    return {id for name, id in there(podman).items() if name.startswith(f"visa-{HUB_ID}-warm-")}


def ready(hub, podman):
    """The one that waits, once it says so: its door is open then."""

    def looks():
        found = waiting(podman)
        logs = [podman.client.logs(id) for id in found]
        return found if logs and all(b"waiting for" in log for log in logs) else None

    (found,) = hub.until(looks, 40, "one waits")
    return found


def test_a_hub_killed_at_any_step_of_a_hand_over_gives_nobody_half_a_session(hub, podman):
    used, ends = set(), {}
    for step in ("taken", "committed", "renamed", "handing", "handed"):
        one, name = killed_when(hub, podman, step)
        mine = {id for called, id in there(podman).items() if f"-alice-{name}-" in called}
        hub.start()
        hub.until(lambda: settled(hub), 40, f"all is settled after a kill when {step}")
        session = hub.session(name)
        ends[step] = session["state"]
        if session["state"] == "running":
            hub.until(partial(answers, hub, name), 10, f"{name} is open")
            assert mine == {one} and one not in used
            used.add(one)
        else:
            # Not renamed: it waits on, the same. Renamed: it is nobody's for ever.
            hub.until(partial(gone, podman, mine), 10, f"what was left when {step} is gone")
            assert (one in waiting(podman)) == (step in ("taken", "committed"))
        hub.stop_session(name)
        hub.until(lambda: set(there(podman).values()) == waiting(podman), 20, "nothing else is left")
    assert ends["handed"] == "running" and ends["renamed"] == ends["committed"] == ends["taken"] == "failed"
    assert hub.mounts() == []


def killed_when(hub, podman, step):
    """Have the hub killed at a step: the container that waited then, and the session's name."""
    mark, at = hub.marks / f"hold-{step}", hub.marks / f"at-{step}"
    mark.touch()
    for attempt in range(5):
        one, name = ready(hub, podman), f"{step}{attempt}"
        start_without_waiting(hub, name)
        hub.until(partial(there_or_made, hub, name, at), 30, f"{name} is {step}")
        if at.exists():
            hub.kill()
            mark.unlink()
            return one, name
        # It came a moment before the hub knew that one waits.
        hub.stop_session(name)
    raise AssertionError(f"no session took one that waits, to be {step}")


def there_or_made(hub, name, at):
    # A hub that stands still answers nobody: asked briefly, and not before the mark was looked for.
    try:
        if at.exists():
            return True
        sessions = hub.api("GET", "visa/sessions", "alice", timeout=1).json()["sessions"]
    except httpx.TransportError:
        return False
    return any(session["name"] == name and session["ready"] for session in sessions)


def gone(podman, ids):
    return not ids & set(there(podman).values())
