"""A hub with sharing whose sessions are real machines, and the one machine of its pool, from its host."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml
from traitlets.config import Config

sys.path.insert(0, str(Path(__file__).parents[2] / "visa_sharing"))

import local_hub  # noqa: E402
import sharing_hub  # noqa: E402
from furnished import a_facility  # noqa: E402

from visa_spawner.backends.vm.libvirt.agent import Agent  # noqa: E402
from visa_spawner.backends.vm.libvirt.connection import Connection  # noqa: E402
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider  # noqa: E402
from visa_spawner.backends.vm.provider import Silent  # noqa: E402
from visa_spawner.inside.making import make  # noqa: E402

HUB_ID = "guest-test"
#: An address of the host's own, which machines reach by their own line.
ADDRESS = "10.217.255.1"
MACHINES = """
c.JupyterHub.hub_connect_url = SETTINGS["connect"]
for section, values in SETTINGS["machines"].items():
    for name, value in values.items():
        setattr(c[section], name, value)
"""
#: What a token of the hub's looks like.
TOKEN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class GuestHub(sharing_hub.SharingHub):
    config = local_hub.CONFIG.replace("prepare(c)\n", f"{MACHINES}prepare(c)\n") + sharing_hub.MORE_CONFIG
    accounts = sharing_hub.ACCOUNTS | {
        "alice": sharing_hub.ACCOUNTS["alice"] | {"gids": [30001]},
        # Who is let in may see all that the session has had.
        "bob": sharing_hub.ACCOUNTS["bob"] | {"teams": ["A-1", "B-2"]},
    }

    def __init__(self, root, images, folder):
        backends = {"container": "local_backend.LocalBackend", "vm": "visa_spawner.backends.vm.VMSpawner"}
        # Machines are elsewhere: what passes between proxy and them is TLS, for the name that people open.
        make(root / "inside", [])
        super().__init__(root, backends=backends, authority_dir=str(root / "inside"))
        self.url = self.url.replace("127.0.0.1", "localhost")
        port = self.hub_url.rpartition(":")[2]
        self.hub_url = f"http://0.0.0.0:{port}"
        self.connect = f"http://{ADDRESS}:{port}"
        self.spawner |= {"start_timeout": 900, "http_timeout": 120}
        self.machines = {
            "VMSpawner": {"hub_id": HUB_ID, "watch_interval": 1, "boot_timeout": 600},
            "LibvirtProvider": {
                "image_template": f"{images}/{{recipe}}.qcow2",
                "folder": folder,
                "network": "10.217.0.0/28",
                "virtualization": "qemu",
                "memory": "1500M",
                "free_disk": "2G",
            },
        }

    def settings(self):
        return super().settings() | {"connect": self.connect, "machines": self.machines}

    def session_is(self, state, seconds, what):
        self.until(lambda: (self.session("tooth") or {}).get("state") == state, seconds, what)

    def get(self, path, who="alice"):
        """A page of the session's, by the proxy, as somebody."""
        headers = {"Authorization": f"token {self.token(who)}"} if who else {}
        return httpx.get(self.address("tooth") + path, headers=headers, timeout=60)

    def opened_by(self, text):
        """Whatever in a text opens anything at this hub."""
        return {
            one
            for one in set(TOKEN.findall(text))
            if self.http.get(
                f"{self.hub_url}/hub/api/user", headers={"Authorization": f"token {one}"}
            ).status_code
            == 200
        }


class Guest:
    """The one machine."""

    def __init__(self, hub):
        self.hub = hub
        self._loop = asyncio.new_event_loop()
        self._libvirt = Connection("qemu:///system")
        self._name = ""

    @property
    def name(self):
        """Its domain's: the first of this hub's; others may wait beside it later."""
        self._name = self._name or self.names()[0]
        return self._name

    @staticmethod
    def names():
        return [name for name in virsh("list", "--all", "--name").split() if f"-{HUB_ID}-" in name]

    def run(self, script, seconds=60):
        """What a script says, run by root of the guest."""
        words = "/bin/sh", "-c", f"exec 2>&1; {script}"
        try:
            done = self._wait(self._agent().run(*words, seconds=seconds))
        except Silent:  # libvirt was started anew since the last time
            done = self._wait(self._agent().run(*words, seconds=seconds))
        return done[1].decode(errors="replace")

    def hears(self):
        """Whether its agent answers."""
        return self._wait(self._agent().is_up())

    def as_alice(self, script, seconds=60):
        """What a script says, run by alice's account and groups in the guest."""
        who = "setpriv --reuid=20001 --regid=20001 --groups=20001,30001"
        return self.run(f"{who} sh -c {json.dumps(script)}", seconds)

    def _agent(self):
        return Agent(self._libvirt, self.name)

    def _wait(self, coroutine):
        return self._loop.run_until_complete(coroutine)

    def close(self):
        self._libvirt.close()
        self._loop.close()


def virsh(*words):
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def furnish(root):
    """The facility of the sharing tests, where alice may write, and a profile whose sessions are machines."""
    sharing_hub.furnish(root)
    (root / "home/alice").chmod(0o700)
    processed = root / "visitor/a1/PROCESSED_DATA"
    os.chown(processed, 0, 30001)
    processed.chmod(0o2770)
    scan = root / "visitor/a1/RAW_DATA/scan"
    scan.write_text("raw data\n")
    os.chown(scan, 20001, 30001)  # her own, which read-only alone keeps her from writing
    more = root / "visitor/b2/RAW_DATA"
    more.mkdir(parents=True, exist_ok=True)
    (more / "scan").write_text("more raw data\n")
    for place in (more, more / "scan"):
        os.chown(place, 20001, 20001)
    plan = {"title": "Machine", "backend": "vm", "cpus": 2, "memory": "1400M", "pool": 1}
    lifetime = {"default_hours": 1, "max_hours": 4, "idle_hours": 3}
    profile = {"name": "whole", "title": "Whole", "image": "base", "lifetime": lifetime}
    (root / "profiles/whole.yaml").write_text(yaml.safe_dump(profile | {"plans": {"machine": plan}}))


@contextmanager
def a_guest(images):
    """The hub and its machine; nothing is left of either."""
    subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
    with a_facility() as root, tempfile.TemporaryDirectory(prefix="vm-guest-", dir="/var/lib") as folder:
        os.chmod(folder, 0o711)
        furnish(root)
        hub = GuestHub(root, images, folder)
        guest = Guest(hub)
        try:
            hub.start()
            yield guest
        finally:
            hub.close()
            guest.close()
            asyncio.run(_remove_all(hub.machines["LibvirtProvider"]))
            subprocess.run(["ip", "address", "del", f"{ADDRESS}/32", "dev", "lo"])
            if os.environ.get("VISA_TEST_HUB_LOG"):
                Path(os.environ["VISA_TEST_HUB_LOG"]).write_bytes(hub.log.read_bytes())


async def _remove_all(settings):
    provider = LibvirtProvider(HUB_ID, config=Config({"LibvirtProvider": settings}))
    try:
        for machine in await provider.list():
            await provider.delete(machine.name)
        await provider.sweep(set())
    finally:
        provider.close()
