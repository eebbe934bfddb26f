"""A node that is a machine of its own: kernel, systemd, cgroups of version 2, as at a facility.

QEMU runs it in software. Hub and Ansible are in a container beside it, and reach it by ssh and TLS. Its
file system of data is a disk of its own, its GPU a device that gives nothing. For `make deployment-test`.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from demo.facility.people import PEOPLE

from . import facility, packages
from .machines import Machine, podman
from .operator import let_in
from .playbook import ROOT, Played, hasten, play, played
from .site import SESSION, Site
from .test_one_machine_doctor import look
from .virtual import BOOT, Virtual, data_disk, images_disk

pytestmark = pytest.mark.timeout(2400)

NETWORK, SUBNET, HUB, NODE = "visa-test-virtual", "10.250.9.0/24", "10.250.9.2", "10.250.9.11"
DATA = facility.DATA
RAW, GPU = DATA / "visitor/raw", "/dev/visa-test-gpu"
MB = 1 << 20
MEMORY = 700 * MB
ALICE = next(one for one in PEOPLE if one.username == "alice")
PROFILE = """
name: general
title: General analysis
summary: For a node in software
suits: {instruments: [], techniques: []}
image: general
roles: []
lifetime: {default_hours: 8, max_hours: 336, idle_hours: 4}
plans:
  small: {title: Small, backend: container, cpus: 0.8, memory: 700M}
  gpu: {title: One GPU, backend: container, cpus: 0.8, memory: 700M, gpus: 1}
"""
SETTINGS = """
# In software a session takes its time.
c.VisaSpawner.start_timeout = c.VisaSpawner.http_timeout = 300
c.ContainerBackend.process_limit = 200
"""
#: How many processes there may be beside those of the session.
FORKS = """
import os, signal
made = []
try:
    while len(made) < 300:
        if not (pid := os.fork()):
            signal.pause()
        made.append(pid)
except BlockingIOError:
    print(len(made))
for pid in made:
    os.kill(pid, 9)
"""
#: As whoever installs a node of the facility's leaves it: file systems, one of them below another, and a GPU.
INSTALLED = f"""
set -e
cat >> /etc/fstab <<END
LABEL=visa-data {DATA} ext4 defaults 0 0
LABEL=images /srv/images ext4 ro 0 0
none {RAW}/deep tmpfs mode=755 0 0
END
cat > /etc/containers/storage.conf <<END
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
[storage.options]
additionalimagestores = ["/srv/images"]
END
echo 'c! {GPU} 0666 root root - 1:3' > /etc/tmpfiles.d/gpu.conf
mkdir -p /srv/images {DATA} && mount /srv/images && mount {DATA} && mkdir -p {RAW}/deep && mount {RAW}/deep
systemctl daemon-reload
systemd-tmpfiles --create --boot gpu.conf
"""


@pytest.fixture(scope="module")
def hub(around) -> Iterator[Machine]:
    """The hub's machine, on a network of its own."""
    podman("network", "rm", "--force", NETWORK, check=False)
    podman("network", "create", "--subnet", SUBNET, "--disable-dns", NETWORK)
    machine = Machine("visa-test-hub", HUB, network=NETWORK)
    folder = around["folder"] / "virtual"
    folder.mkdir()
    wheels = packages.wheels(packages.before(folder), packages.now(folder))
    options = ["--add-host", "login.localhost:127.0.0.1", "--add-host", "visa.test:127.0.0.1"]
    options += ["-v", f"{wheels}:/wheels:ro", "-v", f"{packages.npm_cache()}:/npm", "-v", f"{ROOT}:{ROOT}:ro"]
    options += ["-v", f"{packages.debs('debs-hub')}:/var/cache/apt/archives"]
    for place in (DATA, folder):
        options += ["-v", f"{place}:{place}"]
    try:
        machine.start([*options, "--security-opt", "unmask=/proc/sys"])
        machine.install("openssh-client")
        hasten(machine)
        yield machine
    finally:
        machine.remove()
        podman("network", "rm", "--force", NETWORK, check=False)


@pytest.fixture(scope="module")
def node(hub: Machine, around) -> Iterator[Virtual]:
    """The node's machine, which boots."""
    machine, folder = Virtual("visa-test-node", NODE, network=NETWORK), around["folder"] / "virtual"
    try:
        data = data_disk(machine.folder, DATA, "visa-data", 1)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        machine.start([data, images_disk("localhost/visa/general:latest")])
        yield machine
    finally:
        machine.remove()


def write_inventory(hub: Machine, node: Virtual, folder: Path, port: int) -> Path:
    """Of the hub, which Ansible is on, and the node, which it reaches by ssh."""
    engine = {"engine": f"tcp://{NODE}:2376", "network": "published", "address": NODE}
    engine["tls"] = {name: f"/etc/visa/engines/{file}" for name, file in facility.ENGINE_TLS.items()}
    engine |= {"name": node.name, "cpus": 2, "memory": "2500M"}
    engine["gpus"] = {"0": {"type": "made-up", "devices": [GPU]}}
    extra = {"visa_nodes": [engine], "visa_engine_socket": "/run/podman/podman.sock"}
    extra |= {"visa_images_from": "none"}
    place = facility.write_inventory(folder, hub, folder / "now", Path("/nowhere"), port, extra)
    ssh = f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={folder / 'known_hosts'}"
    by_ssh = {"ansible_connection": "ssh", "ansible_host": NODE, "ansible_user": "root"}
    by_ssh |= {"ansible_ssh_private_key_file": str(folder / "key"), "ansible_ssh_common_args": ssh}
    by_ssh |= {"visa_engine_address": NODE, "visa_data_mounts": [str(DATA)], "visa_gpu_devices": [GPU]}
    groups = {name: {"hosts": {hub.name: {}}} for name in ("hub", "database")}
    groups |= {name: {} for name in facility.GROUPS if name not in groups}
    groups["nodes"] = {"hosts": {node.name: by_ssh}}
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"visa": {"children": groups}}}}))
    (place / "settings.py").write_text(facility.SETTINGS + SETTINGS)
    (place / "profiles/general.yaml").write_text(PROFILE)
    return place


@pytest.fixture(scope="module")
def inventory(hub: Machine, node: Virtual, around) -> Path:
    return write_inventory(hub, node, around["folder"] / "virtual", around["port"])


@pytest.fixture(scope="module")
def first(hub: Machine, node: Virtual, inventory: Path) -> Played:
    """The first run of site.yml at the node, as the facility has installed it.

    The hub is deployed meanwhile, once it has an authority.
    """
    played(hub, inventory, "site.yml", "--limit", hub.name, "--tags", "common,gpu_node")
    with ThreadPoolExecutor(1) as beside:
        deployed = beside.submit(played, hub, inventory, "site.yml", "--limit", hub.name)
        node.until_up()
        node.run(INSTALLED)
        node.hasten()
        let_in(node, inventory.parent / "key.pub")
        first = play(hub, inventory, "site.yml", "--limit", node.name)
        deployed.result()
    assert first.code == 0, first.said[-6000:]
    return first


@pytest.fixture(scope="module")
def again(hub: Machine, node: Virtual, inventory: Path, first) -> Iterator[Future]:
    """A second run, while the first session starts."""
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(play, hub, inventory, "site.yml", "--limit", node.name)


@pytest.fixture(scope="module")
def site(hub: Machine, again, inventory: Path, around) -> Iterator[Site]:
    site = Site(hub, inventory, inventory.parent / "now", [], around["port"])
    site.connect()
    yield site
    site.disconnect()


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    """Acts as alice, who has logged in."""
    site.log_in("alice")
    return site.token("alice")


def start(site: Site, token: str, name: str = SESSION, **asked) -> None:
    options = {"profile": "general", "plan": "small", "interface": "lab"} | asked
    started = site.call("POST", f"users/alice/servers/{name}", token, json={"user_options": options})
    assert started.status_code in (201, 202), started.text


def until(site: Site, token: str, state: str, name: str = SESSION, seconds: float = 120) -> dict:
    """Its record, once it is in a state."""
    end = time.monotonic() + seconds
    while (record := site.sessions(token)[name])["state"] != state:
        assert time.monotonic() < end, f"it is not {state}: {record}\n{site.machine.log('visa-hub', 20)}"
        time.sleep(0.5)  # between two looks, up to `end`
    return record


def container(node: Virtual, name: str = SESSION) -> str:
    """The name of a session's container."""
    return node.said(f"podman ps --filter label=visa.session=alice/{name} --format '{{{{.Names}}}}'")


def inside(node: Virtual, script: str, name: str = SESSION, user: str = "0") -> subprocess.CompletedProcess:
    """Run a script in a session's container, as root there, without a right as any process of it."""
    return node.run(
        f"podman exec --user {user} {container(node, name)} sh -c {shlex.quote(script)}", check=False
    )


@pytest.fixture(scope="module")
def session(site: Site, node: Virtual, token: str) -> dict:
    """Alice's, on an experiment whose raw data are one file system there."""
    node.run(f"umount {RAW}/deep")
    start(site, token, plan="gpu", experiments=[facility.EXPERIMENT])
    record = site.until_running(token, SESSION, 300)
    node.run(f"mount {RAW}/deep")
    return record


def test_a_session_runs_there(site: Site, node: Virtual, token: str, session: dict):
    """It answers by TLS; it is its person's, and its raw data are read-only, for root in it as well."""
    assert node.said("stat -f -c %T /sys/fs/cgroup; cat /proc/1/comm").split() == ["cgroup2fs", "systemd"]
    how = "{{.Host.CgroupsVersion}} {{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}}"
    assert node.said(f"podman info --format '{how}'") == "v2 systemd runc"
    assert site.answers(token, "alice", SESSION) == 200
    ask = "token $(. /etc/visa/proxy.env; echo $CONFIGPROXY_AUTH_TOKEN)"
    ways = site.machine.said(f'curl -s -H "Authorization: {ask}" http://127.0.0.1:8001/api/routes')
    assert f'"https://{NODE}:' in ways and f'"http://{NODE}:' not in ways
    pid = node.said(f"podman inspect --format '{{{{.State.Pid}}}}' {container(node)}")
    found = dict(
        line.split(":\t", 1) for line in node.said(f"cat /proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert found["Uid"].split() == [str(ALICE.uid)] * 4 and found["Gid"].split() == [str(ALICE.gid)] * 4
    assert set(found["Groups"].split()) - {str(ALICE.gid)} == {str(gid) for gid in facility.GIDS}
    assert (found["NoNewPrivs"], found["Seccomp"], int(found["CapBnd"], 16)) == ("1", "2", 0)
    assert inside(node, f"cat {RAW}/scan.txt").stdout == "raw data\n"
    for command in (f"touch {RAW}/new", f"mount -o remount,rw {RAW} && touch {RAW}/new"):
        assert inside(node, command).returncode != 0
    assert inside(node, f"touch {DATA}/visitor/processed/new ~/new", user=str(ALICE.uid)).returncode == 0
    assert node.said(f"ls {RAW}").split() == ["deep", "scan.txt"]


def test_its_plan_is_held_by_cgroups_of_version_2(site: Site, node: Virtual, token: str, session: dict):
    held = inside(node, "cd /sys/fs/cgroup && cat cpu.max memory.max memory.swap.max pids.max").stdout
    assert held.split() == ["80000", "100000", str(MEMORY), "0", "200"]
    # A program that takes more is ended, and the session runs on.
    greedy = inside(node, "python3 -c 'bytearray(2 << 30)'")
    assert greedy.returncode == 137, greedy.stderr
    many = inside(node, f"python3 -c {shlex.quote(FORKS)}")
    assert 100 < int(many.stdout) < 200, many.stderr
    assert site.answers(token, "alice", SESSION) == 200


def test_the_helpdesk_sees_what_it_takes(site: Site, node: Virtual, session: dict):
    """By the engine's counters of these cgroups: cores that are busy, and memory."""
    site.log_in("hugo")
    hugo = site.token("hugo")
    node.run(f"podman exec --detach {container(node)} timeout 60 sh -c 'while :; do :; done'")
    end = time.monotonic() + 60
    while True:
        answer = site.call("GET", f"visa/support/alice/{SESSION}", hugo).raise_for_status().json()
        takes = answer["usage"] or {}
        if takes.get("cpus", 0) > 0.3:
            break
        assert time.monotonic() < end, takes
        time.sleep(1)  # between two looks, up to `end`
    assert takes["cpus"] < 1.0 and takes["memory_limit"] == MEMORY and 50 * MB < takes["memory"] < MEMORY


def test_a_second_run_changes_nothing(again: Future, node: Virtual):
    run = again.result()
    assert run.code == 0 and run.changed == {node.name: 0}, run.changes + run.said[-3000:]
    assert node.said("systemctl --failed --no-legend") == ""


def test_it_has_its_gpu_and_no_other_device(node: Virtual, session: dict):
    assert inside(node, f"echo x > {GPU} && stat -c '%t %T' {GPU}", user=str(ALICE.uid)).stdout == "1 3\n"
    assert "Operation not permitted" in inside(node, "mknod /tmp/sda b 254 0").stderr


def test_what_cannot_be_on_another_machine_is_refused_in_words(
    site: Site, node: Virtual, token: str, session: dict
):
    """Raw data with a file system below, which such an engine would leave writable; and data added later."""
    start(site, token, "deep", experiments=[facility.EXPERIMENT])
    assert (
        "raw data could not be protected from writing" in until(site, token, "failed", "deep", 300)["words"]
    )
    assert node.said(f"ls {RAW}/deep") == ""
    assert "runs on a machine where data cannot be added later" in session["why_not_added"]
    add = site.call(
        "POST", f"visa/sessions/alice/{SESSION}/data", token, json={"experiment": facility.EXPERIMENT}
    )
    assert add.status_code in (400, 409), add.text


def test_the_doctor_finds_nothing_wrong_with_it(site: Site, session: dict):
    found = look(site, *(f"--only {one}" for one in ("engines", "images", "clock", "gpus", "certificates")))
    assert (found.code, found.under("WRONG"), found.under("COULD NOT BE CHECKED")) == (0, {}, {}), found.said


def test_a_reboot_ends_its_sessions_in_words_and_new_ones_start(
    site: Site, node: Virtual, token: str, session: dict
):
    """Nobody does anything: engine, its way, the sessions' network and what forwards to it come back."""
    boot = node.said(f"cat {BOOT}")
    node.run("systemd-run --quiet --on-active=1 reboot")
    away = until(site, token, "unknown")
    assert "does not answer" in away["words"]
    node.until_booted(boot)
    assert until(site, token, "stopped", seconds=240)["words"] == "The session ended."
    units = "podman.socket visa-network visa-engine"
    assert node.said(f"systemctl is-active {units}").split() == ["active"] * 3
    assert "10.214.0.1/24" in node.said("ip -br address show sessions0")
    assert node.said("podman ps --all --quiet") == ""
    node.run(f"umount {RAW}/deep")
    start(site, token, "again", experiments=[facility.EXPERIMENT])
    site.until_running(token, "again", 300)
    assert site.answers(token, "alice", "again") == 200


def test_all_of_the_memory_taken_ends_a_session_in_words(site: Site, node: Virtual, token: str):
    """By files in memory, which no end of a single program gives back."""
    inside(
        node, "for one in /tmp /var/tmp /dev/shm; do head -c 600M /dev/zero > $one/x & done; wait", "again"
    )
    ended = until(site, token, "failed", "again")
    assert "killed on its node. Taking more than its 700 MB of memory is the usual" in ended["words"], ended
