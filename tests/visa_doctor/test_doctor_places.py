"""What the doctor asks of the places where sessions run: engines, images, GPUs, the cluster, machines."""

import os
import signal
import socket
import struct
import threading
from contextlib import suppress

import pytest
from doctor_servers import DAY, Authority
from doctor_site import PLAN, SLURM_CONF, engines, profile, write_profile

from visa_doctor.checks.engines import _faults
from visa_doctor.finding import Verdict
from visa_spawner.backends.nodes import Node


def node(**changes):
    return {"name": "node2", "engine": "unix:///nowhere/engine.sock", "cpus": 2, "memory": "2G"} | changes


def test_an_engine_that_is_not_there_is_the_cause_of_the_rest(doctor):
    doctor.say(f"c.ContainerBackend.nodes.append({node(local=False)!r})")
    found = doctor.look("clock", "engines", "images")
    (told,) = [one for one in found if one.verdict is Verdict.WRONG]
    assert told.place == "engines, node2"
    assert told.what.startswith(
        "The engine does not answer (its socket is not there, unix:///nowhere/engine.sock)"
    )
    follow = [(one.check, one.about, one.because) for one in found if one.verdict is Verdict.UNCHECKED]
    assert follow == [("clock", "node2", "engines"), ("images", "node2", "engines")]
    # The other node is told as it is.
    assert [one.about for one in found if one.check == "engines" and one.verdict is Verdict.OK] == ["node1"]


def test_an_engine_that_hangs(site, doctor):
    doctor.limit = 3
    site.engine.signal(signal.SIGSTOP)
    try:
        (told,) = doctor.wrong("engines")
    finally:
        site.engine.signal(signal.SIGCONT)
    assert told.startswith("engines, node1: The engine does not answer (no answer in time, unix://")


def test_a_network_that_the_engine_does_not_have(site, doctor):
    doctor.say(f"c.ContainerBackend.nodes = [{node(engine=site.engine.address, network='moon')!r}]")
    (told,) = doctor.wrong("engines")
    assert told == "engines, node2: The engine has no network 'moon'; no session starts there."


def test_podmans_own_network_by_the_name_that_addresses_stand_under(site, doctor):
    """Podman lists it as `bridge`, as Docker's is called; a session there has its address under `podman`."""
    doctor.say(f"c.ContainerBackend.nodes = [{node(engine=site.engine.address, network='podman')!r}]")
    assert doctor.wrong("engines") == []
    doctor.say(f"c.ContainerBackend.nodes = [{node(engine=site.engine.address, network='bridge')!r}]")
    (told,) = doctor.wrong("engines")
    assert told == "engines, node2: The engine has no network 'bridge'; no session starts there."


@pytest.mark.parametrize(
    ("by", "cgroups", "wrong"), [("Podman Engine", "2", 0), ("Podman Engine", "1", 1), ("Engine", "2", 1)]
)
def test_a_quota_of_cores_that_an_engine_says_it_lacks(by, cgroups, wrong):
    """As Debian's Podman says with cgroups of version 2, where it has not looked and the quota holds."""
    version = {"ApiVersion": "1.41", "Components": [{"Name": by}]}
    about = {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": False, "CgroupVersion": cgroups}
    one = Node.model_validate(node(network="published", local=False))
    said = [fault.what for fault in _faults(one, version, about, set())]
    assert len(said) == wrong and all("(CpuCfsQuota is off)" in what for what in said)


def test_more_memory_than_the_node_has(site, doctor):
    wanted = node(engine=site.engine.address, network=site.engine.network, memory="1000T")
    doctor.say(f"c.ContainerBackend.nodes = [{wanted!r}]")
    (told,) = doctor.wrong("engines", verdict=Verdict.WARNING)
    assert told.startswith("engines, node2: Sessions may take 1024000 GB of a node with")


def test_the_hubs_own_certificate_for_an_engine(doctor, tmp_path):
    certificate, key = Authority(tmp_path).certificate(["hub"], ends=3 * DAY)
    tls = {"ca": str(tmp_path / "authority.pem"), "cert": str(certificate), "key": str(key)}
    doctor.say(f"c.ContainerBackend.nodes = [{node(engine='tcp://127.0.0.1:9', tls=tls)!r}]")
    (told,) = doctor.wrong("engines", verdict=Verdict.WARNING)
    assert told.startswith(
        f"engines, node2: The hub's certificate for this engine ({certificate}) ends in 2 days"
    )
    (told,) = doctor.wrong("engines")
    assert "nothing listens there, tcp://127.0.0.1:9" in told
    key.chmod(0o644)
    (told,) = doctor.wrong("secrets")
    assert "key.pem holds a secret and has mode 0644" in told


def test_an_image_that_a_node_lacks(doctor):
    folder = doctor.folder / "profiles"
    write_profile(folder, **profile() | {"image": "moon"})
    doctor.say(f"c.VisaSite.profiles_dir = '{folder}'")
    (told,) = doctor.wrong("images")
    assert told.startswith(
        "images, node1: It lacks localhost/visa/moon:latest: sessions of these profiles do not"
    )


def test_an_image_that_is_anothers_and_old(site, doctor):
    labels = {
        "org.opencontainers.image.title": "visa/other",
        "org.visa.recipe": "abc",
        "org.opencontainers.image.created": "2020-01-01T00:00:00+00:00",
    }
    changes = [f"LABEL {name}={value}" for name, value in labels.items()]
    site.engine.client.import_image_from_data(
        engines.image_tar(), repository="localhost/visa/old", tag="latest", changes=changes
    )
    folder = doctor.folder / "profiles"
    write_profile(folder, **profile() | {"image": "old"})
    doctor.say(f"c.VisaSite.profiles_dir = '{folder}'")
    try:
        (told,) = doctor.wrong("images")
        (old,) = doctor.wrong("images", verdict=Verdict.WARNING)
    finally:
        site.engine.client.remove_image("localhost/visa/old:latest")
    assert told == "images, node1: localhost/visa/old:latest is an image of other."
    assert "days ago and lacks the security updates since" in old


def test_gpus_that_are_not_there(site, doctor, tmp_path):
    there = tmp_path / "gpu0"
    os.mknod(there, 0o666 | 0o020000, os.makedev(1, 3))
    gpus = {
        "0": {"type": "x", "devices": [str(there)]},
        "1": {"type": "x", "devices": [str(tmp_path / "gpu1")]},
        "2": {"type": "x", "cdi": "nvidia.com/gpu=moon"},
    }
    doctor.say(f"c.ContainerBackend.nodes = [{node(engine=site.engine.address, gpus=gpus)!r}]")
    device, cdi = doctor.wrong("gpus")
    assert (
        device
        == f"gpus, node2: GPU 1: there is no device {tmp_path}/gpu1; sessions that get it do not start."
    )
    assert cdi.startswith("gpus, node2: GPU 2: no CDI file names nvidia.com/gpu=moon")


# Cluster and machines ---------------------------------------------------------------------------------
@pytest.fixture
def elsewhere(doctor):
    """A profile with plans for a cluster and for machines, and what is said of both."""
    folder = doctor.folder / "profiles"
    plans = {name: PLAN | {"backend": name} for name in ("slurm", "vm")}
    write_profile(folder, **profile(**plans))

    def say(*lines):
        doctor.say("\n".join([f"c.VisaSite.profiles_dir = '{folder}'", *lines]))

    return say


def test_slurms_commands_are_not_there(doctor, elsewhere):
    elsewhere("c.SlurmBackend.commands_dir = '/nowhere'")
    (told,) = doctor.wrong("slurm")
    assert told.startswith("slurm: Slurm's commands cannot be used on this machine")


def test_a_controller_and_a_launcher_that_are_not_there(doctor, elsewhere, tmp_path):
    conf = tmp_path / "slurm.conf"
    conf.write_text(SLURM_CONF)
    elsewhere(f"c.SlurmBackend.slurm_conf = '{conf}'", "c.SlurmBackend.launcher = ['/nowhere/launch']")
    doctor.limit = 10
    launcher, controller = doctor.wrong("slurm")
    assert (
        "No session can be submitted, since the launcher does not run: /nowhere/launch cannot be run"
        in launcher
    )
    assert controller.startswith("slurm: Slurm does not answer (")
    assert "sessions there are shown as unknown and run on" in controller


def test_libvirt_is_not_there(doctor, elsewhere):
    elsewhere(
        "c.VMSpawner.hub_id = 'doctor'",
        "c.LibvirtProvider.uri = 'qemu+unix:///system?socket=/nowhere/libvirt.sock'",
    )
    (told,) = doctor.wrong("machines")
    assert told.startswith("machines, libvirt: It does not answer (qemu+unix:///system?socket=/nowhere")


# What hangs -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("abruptly", [False, True])
def test_what_leads_to_an_engine_hangs_up(doctor, tmp_path, abruptly):
    """As a stunnel does whose engine is gone."""
    certificate, key = Authority(tmp_path).certificate(["hub"])
    tls = {"ca": str(tmp_path / "authority.pem"), "cert": str(certificate), "key": str(key)}

    def hang_up(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                one, _ = listener.accept()
                one.recv(1 << 16)
                if abruptly:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        there = node(engine=f"tcp://127.0.0.1:{listener.getsockname()[1]}", tls=tls)
        doctor.say(f"c.ContainerBackend.nodes = [{there!r}]")
        (told,) = doctor.wrong("engines")
        listener.shutdown(socket.SHUT_RDWR)
    assert "The engine does not answer (who listens there hangs up: the engine behind is not there" in told


def test_an_engine_that_takes_the_call_and_says_nothing(doctor, tmp_path):
    """Neither refused nor answered: the report comes in time, and the process ends."""
    import subprocess
    import sys
    import time

    place = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        held = []
        threading.Thread(target=lambda: held.append(server.accept()), daemon=True).start()
        doctor.say(f"c.ContainerBackend.nodes.append({node(engine=f'unix://{place}')!r})")
        command = [sys.executable, "-m", "visa_spawner.command", "doctor", "--only", "engines"]
        command += ["--config", doctor.site.config, "--each", "8", "--within", "12"]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        took = time.monotonic() - began
    assert done.returncode == 1, done.stderr
    assert "engines, node2" in done.stdout
    assert "Fine: engines (node1)." in done.stdout
    # What it takes to begin, on a busy machine too, and no time of an engine's.
    assert took < 50
