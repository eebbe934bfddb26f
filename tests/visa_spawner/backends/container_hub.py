"""A hub that can be killed, with VisaSpawner and its containers on a real Podman."""

from contextlib import contextmanager

import engines
import local_hub
from local_hub import Hub

HUB_ID = f"{engines.HUB}-kill"

SETTINGS = """
c.JupyterHub.hub_connect_url = {connect!r}
c.ContainerBackend.hub_id = {hub!r}
c.ContainerBackend.nodes = [
    {{"name": "here", "engine": {engine!r}, "network": {network!r}, "cpus": 16, "memory": "16G"}}
]
c.ContainerBackend.image_template = {image!r}
c.ContainerBackend.watch_interval = 0.5
c.ContainerBackend.stop_grace = 1
prepare(c)
"""


@contextmanager
def container_hub(podman, site_files, monkeypatch):
    """One below the directory of a facility's files."""
    port = local_hub.free_ports(1)[0]
    gateway = podman.client.inspect_network(podman.network)["IPAM"]["Config"][0]["Gateway"]
    settings = SETTINGS.format(
        connect=f"http://{gateway}:{port}",
        hub=HUB_ID,
        engine=podman.address,
        network=podman.network,
        image=engines.IMAGE,
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
        hub.close()
        engines.remove_all(podman)
