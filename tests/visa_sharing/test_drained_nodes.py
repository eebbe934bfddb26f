"""Nodes that administrators drain, and what staff see of a session's node: real hub, real Podman."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "visa_spawner" / "backends"))

import engines  # noqa: E402
import local_hub  # noqa: E402
from sharing_hub import a_sharing_hub  # noqa: E402
from spawner_support import GOOD_OPTIONS  # noqa: E402
from staff_hub import StaffHub, message  # noqa: E402

HUB_ID = f"{engines.HUB}-nodes"
OPTIONS = GOOD_OPTIONS | {"interface": "lab"}
SETTINGS = """
c.JupyterHub.hub_connect_url = {connect!r}
c.ContainerBackend.hub_id = {hub!r}
c.ContainerBackend.nodes = [
    {{"name": "here", "engine": {engine!r}, "network": {network!r}, "cpus": 16, "memory": "16G"}},
    {{"name": "old", "engine": "unix:///nowhere/x.sock", "cpus": 1, "memory": "1G", "drained": True}},
]
c.ContainerBackend.image_template = {image!r}
c.ContainerBackend.watch_interval = 0.5
c.ContainerBackend.stop_grace = 1
prepare(c)
"""


@pytest.fixture(scope="module")
def podman():
    missing = engines.tools_missing()
    assert not missing, f"missing on this machine: {missing}"
    folder = Path(tempfile.mkdtemp(prefix="vc-n-"))
    with engines.podman(folder) as engine:
        yield engine
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def hub(podman):
    port = local_hub.free_ports(1)[0]
    gateway = podman.client.inspect_network(podman.network)["IPAM"]["Config"][0]["Gateway"]
    settings = SETTINGS.format(
        connect=f"http://{gateway}:{port}",
        hub=HUB_ID,
        engine=podman.address,
        network=podman.network,
        image=engines.IMAGE,
    )

    class Hub(StaffHub):
        # The text is formatted once more there.
        config = StaffHub.config.replace("prepare(c)\n", settings.replace("{", "{{").replace("}", "}}"), 1)

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            # The bridge is there only while a container runs, so the hub listens everywhere.
            self.hub_url = f"http://0.0.0.0:{port}"

    backends = {"container": "visa_spawner.backends.container.ContainerBackend"}
    with a_sharing_hub(kind=Hub, backends=backends) as hub:
        yield hub
        engines.remove_all(podman)


def nodes(hub):
    answer = hub.api("GET", "visa/admin/nodes", "adam")
    assert answer.status_code == 200, answer.text
    return {one["node"]: one for one in answer.json()["nodes"]}


def drain(hub, drained, who="adam", node="here", **more):
    body = {"drained": drained} | more
    return hub.api("PUT", f"visa/admin/nodes/container/{node}", who, json=body)


def test_a_drained_node_keeps_what_runs_takes_nothing_new_and_is_remembered(hub, podman):
    hub.run_session("first", OPTIONS)
    here = nodes(hub)["here"]
    assert (here["state"], here["drained"], here["sessions"]) == ("answers", False, ["alice/first"])
    assert here["free"]["cpus"] == here["cpus"] - 1
    old = nodes(hub)["old"]
    assert (old["state"], old["drained"], old["by_settings"]) == ("silent", True, True)

    for who, code in (("heidi", 403), ("ivan", 403), ("alice", 403)):
        assert drain(hub, True, who).status_code == code
        assert hub.api("GET", "visa/admin/nodes", who).status_code == code
    assert drain(hub, True, node="nowhere").status_code == 404
    assert message(drain(hub, "yes")).startswith("drained: ")

    told = drain(hub, True, words="New memory until noon.").json()
    assert (told["drained"], told["words"], told["drained_by"]) == (True, "New memory until noon.", "adam")
    refused = hub.start_session("second", OPTIONS)
    assert refused.status_code == 503, refused.text
    assert "being emptied for maintenance. New memory until noon." in message(refused)
    options = hub.api("GET", "visa/options", "alice").json()["profiles"]
    plans = {
        plan["name"]: plan["free"] for one in options if one["name"] == "general" for plan in one["plans"]
    }
    assert plans["small"]["sessions"] == 0 and "New memory" in plans["small"]["words"]

    hub.kill()
    hub.start()
    assert hub.start_session("third", OPTIONS).status_code == 503
    assert hub.session("first")["state"] == "running"
    assert nodes(hub)["here"]["sessions"] == ["alice/first"]

    assert drain(hub, False).json()["drained"] is False
    hub.run_session("second", OPTIONS)
    lines = hub.audit(what="node-drained,node-undrained")
    assert [(line["what"], line["who"], line["details"]["node"]) for line in lines] == [
        ("node-drained", "adam", "here"),
        ("node-undrained", "adam", "here"),
    ]
    # Put back once more: nothing to tell.
    assert drain(hub, False).status_code == 200
    assert len(hub.audit(what="node-undrained")) == 1


def test_staff_see_node_image_log_and_use_of_a_session(hub, podman):
    if "first" not in hub.names():
        hub.run_session("first", OPTIONS)
    one = hub.api("GET", "visa/support/alice/first", "ivan").json()
    assert (one["node"], one["image"]) == ("here", "general")
    assert one["log"] == ["session of alice"]
    assert one["usage"]["memory_limit"] == 1 << 30 and one["usage"]["memory"] > 0
    assert one["usage"]["cpus"] < 4 and one["usage"]["cpu_limit"] == 1
    assert hub.seen_by("heidi", node="here") >= {"alice/first"}
    assert hub.seen_by("heidi", q="here first") == {"alice/first"}
    assert hub.seen_by("heidi", node="old") == set()
    # An administrator stops it; the container goes, the tile stays and says so.
    assert hub.api("DELETE", "visa/admin/sessions/alice/first", "adam").status_code == 202
    hub.until(lambda: hub.session("first")["state"] == "stopped", 20, "first stops")
    assert hub.session("first")["words"] == "Stopped by the facility's staff."
    names = [c["Labels"]["visa.session"] for c in podman.containers(HUB_ID)]
    assert "alice/first" not in names
    # What it said last is there for staff all the same.
    one = hub.api("GET", "visa/support/alice/first", "ivan").json()
    assert one["log"] == ["session of alice"] and one["usage"] is None
