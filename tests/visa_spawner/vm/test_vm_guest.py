"""A real machine, booted from the base image's disk in software, from the pool of a real hub to its end.

It boots once for all of these tests, which follow one another: it waits, becomes alice's, and stays hers
while the hub is killed and it is paused; then it starts anew from inside, which ends her session.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from pathlib import Path

import httpx
import local_hub
import pytest
import yaml
from furnished import a_facility, furnish
from local_hub import Hub
from spawner_support import write_site

from images.build import main as build_main
from images.disk import main as disk_main
from visa_spawner.backends.vm.libvirt import share
from visa_spawner.backends.vm.libvirt.agent import Agent
from visa_spawner.backends.vm.libvirt.connection import Connection

IMAGES = Path("/var/lib/visa-test-images")
#: An address of the host's own, which machines reach by their own line.
ADDRESS = "10.217.255.1"
SETTINGS = """
c.JupyterHub.hub_connect_url = {connect!r}
c.VMSpawner.hub_id = {hub!r}
c.VMSpawner.watch_interval = 1
c.VMSpawner.boot_timeout = 900
c.LibvirtProvider.image_template = {images!r}
c.LibvirtProvider.folder = {folder!r}
c.LibvirtProvider.network = "10.217.0.0/28"
c.LibvirtProvider.virtualization = "qemu"
c.LibvirtProvider.memory = "1500M"
prepare(c)
"""
HUB_ID = "guest-test"
pytestmark = pytest.mark.timeout(1200)


class Guest:
    """The one machine, seen from its host."""

    def __init__(self, hub):
        self.hub = hub
        self._loop = asyncio.new_event_loop()
        self._libvirt = Connection("qemu:///system")

    @property
    def name(self):
        """Its domain's, once there is one."""
        found = [name for name in virsh("list", "--all", "--name").split() if f"-{HUB_ID}-" in name]
        return found[0] if found else ""

    def run(self, script, seconds=60):
        """What a script says, run by root of the guest."""
        agent = Agent(self._libvirt, self.name)
        _, said = self._loop.run_until_complete(agent.run("/bin/sh", "-c", f"{script} 2>&1", seconds=seconds))
        return said.decode(errors="replace")

    def close(self):
        self._libvirt.close()
        self._loop.close()


def virsh(*words):
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def add_profile(root):
    plan = {"title": "Machine", "backend": "vm", "cpus": 2, "memory": "1400M", "pool": 1}
    lifetime = {"default_hours": 1, "max_hours": 4}
    profile = {"name": "whole", "title": "Whole", "image": "base", "lifetime": lifetime}
    (root / "profiles/whole.yaml").write_text(yaml.safe_dump(profile | {"plans": {"machine": plan}}))


@pytest.fixture(scope="module")
def guest(libvirt_here):
    assert build_main(["base"]) == 0
    assert disk_main(["base", str(IMAGES), "--keep-hours", "1"]) == 0
    subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
    with a_facility() as root, pytest.MonkeyPatch.context() as patch:
        furnish(root)
        write_site(root)
        add_profile(root)
        raw = root / "visitor/a1/RAW_DATA"
        (raw / "scan").write_text("raw data\n")
        port = local_hub.free_ports(1)[0]
        folder = tempfile.mkdtemp(prefix="vm-guest-", dir="/var/lib")
        os.chmod(folder, 0o711)
        settings = SETTINGS.format(
            connect=f"http://{ADDRESS}:{port}", hub=HUB_ID, images=f"{IMAGES}/{{recipe}}.qcow2", folder=folder
        )
        settings = settings.replace("{", "{{").replace("}", "}}")  # it is formatted once more there
        patch.setattr(Hub, "config", local_hub.CONFIG.replace("prepare(c)\n", settings))
        hub = Hub(
            root,
            backends={
                "container": "local_backend.LocalBackend",
                "vm": "visa_spawner.backends.vm.VMSpawner",
            },
        )
        hub.hub_url = f"http://0.0.0.0:{port}"
        hub.spawner |= {"start_timeout": 900, "http_timeout": 120}
        one = Guest(hub)
        try:
            hub.start()
            yield one
        finally:
            hub.close()
            while name := one.name:
                subprocess.run(["virsh", "-q", "destroy", name], capture_output=True)
                virsh("undefine", name)
            one.close()
            subprocess.run(["ip", "address", "del", f"{ADDRESS}/32", "dev", "lo"])
            for path in Path(folder).iterdir():
                path.unlink()
            os.rmdir(folder)


def session(hub):
    return hub.session("work") or {}


def test_a_machine_boots_and_waits_and_is_nobodys(guest):
    said = lambda: guest.hub.log.read_text()  # noqa: E731
    guest.hub.until(lambda: "waits for a session" in said(), 900, "a machine of the pool is up")
    assert guest.run("ls /home /data /experiments; ip -4 -br addr show scope global").count("10.217.") == 0
    assert "20001" not in guest.run("cat /etc/passwd")
    root_only = guest.run("ls -lnd /run/visa")
    assert root_only.startswith("drwx------"), "who may hand it over is root alone"


def test_it_becomes_alices_session_in_a_moment(guest):
    hub, waiting = guest.hub, guest.name
    options = {"experiments": ["A-1"], "profile": "whole", "plan": "machine", "interface": "lab"}
    answer = hub.start_session("work", options)
    assert answer.status_code in (201, 202), answer.text
    hub.until(lambda: session(hub).get("state") == "running", 300, "the session runs")
    assert guest.name == waiting, "the one that waited"
    answer = httpx.get(hub.address("work") + "api", timeout=60)
    assert answer.status_code == 200 and "version" in answer.json()
    processes = guest.run("ps -eo user:20,args | grep '[v]isa-session'")
    assert processes.count("alice") >= 2 and "root" not in processes
    assert guest.run("hostname").strip() == "work"


def test_data_stand_at_their_places_with_the_persons_rights(guest):
    root = guest.hub.root
    as_alice = "setpriv --reuid=20001 --regid=20001 --groups=20001,30001 sh -c"
    assert guest.run(
        f"{as_alice} 'cat /experiments/A-1/raw/scan; touch {root}/home/alice/mine && echo made'"
    ) == ("raw data\nmade\n")
    assert (root / "home/alice/mine").stat().st_uid == 20001
    guest.run(f"{as_alice} 'echo result > {root}/visitor/a1/PROCESSED_DATA/result'")
    assert (root / "visitor/a1/PROCESSED_DATA/result").read_text() == "result\n"
    assert (root / "visitor/a1/PROCESSED_DATA/result").stat().st_gid == 30001
    code = "import sqlite3; c = sqlite3.connect('mapped.db'); c.execute('pragma journal_mode=wal'); "
    code += "c.execute('create table t (a)'); c.commit(); print('kept')"
    said = guest.run(f"cd {root}/home/alice && {as_alice} '/opt/visa/venv/bin/python -c \"{code}\"'")
    assert said == "kept\n", "what is mapped and locked works, as notebooks' histories do"


def test_root_of_the_guest_cannot_change_raw_data(guest):
    raw = guest.hub.root / "visitor/a1/RAW_DATA"
    before = raw.stat(), (raw / "scan").stat()
    tries = [
        f"mount -o remount,rw {raw}",
        f"setpriv --reuid=20001 --regid=20001 --clear-groups sh -c 'echo x >> {raw}/scan'",
        f"setpriv --reuid=20001 --regid=20001 --clear-groups touch {raw}/new",
        f"chmod 666 {raw}/scan",
        f"rm {raw}/scan",
    ]
    said = guest.run("; ".join(f"{one} && echo 'did it'" for one in tries[1:]))
    assert "did it" not in said
    guest.run(tries[0])
    said = guest.run("; ".join(f"{one} && echo 'did it'" for one in tries[1:]))
    assert "did it" not in said and "Read-only" in said, said
    assert (raw.stat(), (raw / "scan").stat()) == before and os.listdir(raw) == ["scan"]


def test_nothing_secret_is_where_others_could_read_it(guest):
    hub = guest.hub
    token = guest.run("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID visa-session)/environ")
    assert "API_TOKEN" not in token, "what the service was started with is nobody's"
    (qemu,) = [
        words
        for place in Path("/proc").glob("[0-9]*")
        if f"guest={guest.name}," in (words := read(place / "cmdline"))
    ]
    described = virsh("dumpxml", guest.name) + qemu
    state = json.loads(sqlite(hub, "select state from spawners where name = 'work'"))
    for what in ("token", "JUPYTERHUB", "hub/api", str(hub.root), "20001"):
        assert what not in described, what
    assert "token" not in json.dumps(state["child_state"])
    console = next(Path(described.split("log file='")[1].split("'")[0]).parent.glob("*.console")).read_text(
        errors="replace"
    )
    assert "API_TOKEN" not in console
    assert "20001" in guest.run("cat /etc/passwd"), "the machine itself knows whose it is"
    assert "token" not in guest.run("ls -R /run/visa /tmp 2>&1").lower()


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def sqlite(hub, query):
    import sqlite3

    with sqlite3.connect(f"file:{hub.root}/jupyterhub.sqlite?mode=ro", uri=True) as database:
        return database.execute(query).fetchone()[0]


def test_a_killed_hub_finds_it_again(guest):
    hub = guest.hub
    before = guest.name
    hub.kill()
    assert httpx.get(hub.address("work") + "api", timeout=60).status_code == 200
    hub.start()
    hub.until(lambda: session(hub).get("state") == "running", 60, "it is found again")
    assert guest.name == before
    assert httpx.get(hub.address("work") + "api", timeout=60).status_code == 200
    said = guest.run("setpriv --reuid=20001 --regid=20001 --clear-groups cat /experiments/A-1/raw/scan")
    assert said == "raw data\n", "who serves its data does not end with the hub"


def test_a_paused_machine_is_said_and_goes_on(guest):
    hub = guest.hub
    virsh("suspend", guest.name)
    hub.until(lambda: session(hub)["state"] == "unknown", 20, "it is seen")
    assert "paused" in session(hub)["words"]
    virsh("resume", guest.name)
    hub.until(lambda: session(hub)["state"] == "running", 20, "it goes on")
    assert httpx.get(hub.address("work") + "api", timeout=60).status_code == 200


def test_to_start_anew_from_inside_ends_the_session_and_leaves_nothing(guest):
    hub, name = guest.hub, guest.name
    guest.run("systemctl reboot --force --force &")
    hub.until(lambda: session(hub)["state"] in ("failed", "stopped"), 60, "its end is seen")
    assert "from inside" in session(hub)["words"]
    hub.until(lambda: guest.name != name, 60, "it is removed")
    log = hub.session("work", "heidi", owner="alice")["log"]
    assert [line for line in log if "waiting for a person" in line], "staff read the end of its console"
    hub.until(lambda: not [one for _, one in share.serving(HUB_ID) if one == name], 20, "its share too")
