"""Real engines for the tests: Podman's service and Docker Engine, started here and ended here.

The image is busybox alone, so that it is there in a second on a machine without a registry.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import docker

IMAGE = "localhost/visa/container-test:latest"
RECIPE = "container-test"
#: The hub ids of this run begin so; containers of nobody else, nor of another run, are touched.
_MARK = "containertest"
HUB = f"{_MARK}-{os.getpid()}"
#: Ends what a command inside of a container has said.
SAID_ALL = "--that-was-all--"

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
cgroupns = "private"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/t"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/n"
"""

STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{folder}/s"
runroot = "{folder}/r"
"""

#: What the image says of itself.
#: What JupyterLab's page would begin with.
BOOT = b"let started;"
PACKAGES = b"# Debian\nbusybox 1:1.35.0-4\n# Python\nsilx==3.1.3\n"
ABOUT = b'{"recipe": "container-test", "revision": "abc123", "created": "2026-11-29T10:00:00+00:00"}'

#: What a session does, as far as these tests need it: says that it listens, and answers.
VISA_SESSION = """#!/bin/sh
trap 'exit 0' TERM
echo "session of $JUPYTERHUB_USER"
mkdir -p /tmp/www && cd /tmp/www && echo hello > index.html
httpd -f -p 8888 &
if [ -n "$JUPYTERHUB_API_URL" ]; then
    until wget -q -O - --header "Authorization: token $JUPYTERHUB_API_TOKEN" \\
        --header "Content-Type: application/json" --post-data '{"port": 8888}' \\
        "$JUPYTERHUB_API_URL/visa/ready"; do sleep 0.1; done
fi
wait
"""


@dataclass
class RunningEngine:
    """An engine that runs: `pid` is its service, which a test may stop, continue and kill."""

    kind: str
    address: str
    network: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen

    @property
    def client(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.address, version="auto", timeout=60)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def restart(self) -> None:
        """Start the service again after it was killed."""
        self.process.wait()
        self.process = _begin(self.command, self.environment, self.address)

    def containers(self, hub: str) -> list[dict]:
        return self.client.containers(all=True, filters={"label": [f"visa.hub={hub}"]})

    def run_inside(self, name: str, command: list[str], user: str = "") -> tuple[int, str]:
        """Exit code and words of a command; one that ends well may be run more than once.

        Podman's service loses now and then all that a short command has said, beside other work: the mark at
        the end says whether it has all come.
        """
        client, shell = self.client, f'"$@"; code=$?; echo {SAID_ALL}; exit $code'
        for _ in range(3):
            made = client.exec_create(name, ["sh", "-c", shell, "sh", *command], user=user)
            output = client.exec_start(made["Id"]).decode(errors="replace")
            code = client.exec_inspect(made["Id"])["ExitCode"]
            if SAID_ALL in output or code:
                break
        return code, output.replace(f"{SAID_ALL}\n", "")


def _begin(command: list[str], environment: dict[str, str], address: str) -> subprocess.Popen:
    socket = Path(address.removeprefix("unix://"))
    with (socket.parent / f"{socket.stem}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            # On cgroups v1 podman's helper leaves a file `oom` where it stands, when memory ran out.
            cwd=socket.parent,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(docker.errors.DockerException):
            docker.APIClient(base_url=address, version="auto", timeout=5).ping()
            return process
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{command[0]} does not answer; see {socket.with_suffix('.log')}")
        time.sleep(0.05)


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[RunningEngine]:
    """Podman's Docker-compatible service with a storage, locks and a bridge of its own."""
    environment = {}
    for variable, text in (("CONTAINERS_CONF", CONTAINERS_CONF), ("CONTAINERS_STORAGE_CONF", STORAGE_CONF)):
        path = folder / variable.lower()
        path.write_text(text.format(folder=folder))
        environment[variable] = str(path)
    network = f"visap{os.getpid()}"
    subprocess.run(
        [
            "podman",
            "network",
            "create",
            "--disable-dns",
            f"--subnet=172.30.{os.getpid() % 250}.0/24",
            network,
        ],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    described = folder / "n" / f"{network}.json"
    # An interface that no other run's network can have taken.
    described.write_text(json.dumps(json.loads(described.read_text()) | {"network_interface": network}))
    address = f"unix://{folder}/podman.sock"
    command = ["podman", "system", "service", "--time=0", address]
    try:
        yield from _running("podman", address, network, command, environment)
    finally:
        _unmount_below(folder)


@contextlib.contextmanager
def docker_engine(folder: Path) -> Iterator[RunningEngine]:
    """Docker Engine with a bridge and a subnet of its own, leaving the machine's packet filter alone."""
    address = f"unix://{folder}/docker.sock"
    bridge = f"visat{os.getpid()}"
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run(["ip", "addr", "add", f"172.29.{os.getpid() % 250}.1/24", "dev", bridge], check=True)
    subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
    # --exec-root holds sockets, whose paths must be short.
    command = [
        "dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/x", "-p", f"{folder}/pid",
        "-H", address, "--containerd", f"{folder}/c.sock",
        "--bridge", bridge, "--iptables=false", "--ip6tables=false", "--live-restore",
        "--default-ulimit", "nofile=20000:20000", "--default-ulimit", "nproc=32768:32768",
    ]  # fmt: skip
    # As Debian runs it: a service of its own, so that sessions outlive a dead dockerd.
    config = folder / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/c"\nstate = "{folder}/cs"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/c.sock"\n'
    )
    with (folder / "containerd.log").open("wb") as log:
        containerd = subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=log)
    try:
        yield from _running("docker", address, "bridge", command, {})
    finally:
        containerd.terminate()
        containerd.wait(20)
        subprocess.run(["ip", "link", "del", bridge], check=False)
        _unmount_below(folder)


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", mount], check=False)


def _running(kind, address, network, command, environment) -> Iterator[RunningEngine]:
    engine = RunningEngine(
        kind, address, network, command, environment, _begin(command, environment, address)
    )
    try:
        engine.client.import_image_from_data(image_tar(), repository=IMAGE.rpartition(":")[0], tag="latest")
        remove_all(engine)
        yield engine
    finally:
        engine.signal(signal.SIGCONT)
        remove_all(engine)
        engine.process.terminate()
        try:
            engine.process.wait(20)
        except subprocess.TimeoutExpired:
            engine.process.kill()
            engine.process.wait()


def remove_all(engine: RunningEngine) -> None:
    """Remove what this run made, and what a run that was killed left."""
    client = engine.client
    for container in client.containers(all=True, filters={"label": ["visa.hub"]}):
        mark, _, rest = container["Labels"]["visa.hub"].partition("-")
        run = rest.partition("-")[0]
        mine = run == str(os.getpid())
        if mark == _MARK and run.isdigit() and (mine or not Path(f"/proc/{run}").exists()):
            with contextlib.suppress(docker.errors.NotFound):
                client.remove_container(container["Id"], force=True, v=True)


def image_tar() -> bytes:
    """A root file system of busybox and the test's session."""
    busybox = Path("/bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes = b"", **fields) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            for field, value in fields.items():
                setattr(entry, field, value)
            tar.addfile(entry, BytesIO(data))

        for folder in ("bin", "etc", "proc", "sys", "dev", "root", "usr", "usr/bin", "var", "opt"):
            add(folder, type=tarfile.DIRTYPE)
        for folder in ("tmp", "var/tmp"):
            add(folder, type=tarfile.DIRTYPE, mode=0o1777)
        add("bin/busybox", busybox.read_bytes())
        for applet in applets:
            if applet != "busybox":
                add(f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        add("bin/visa-session", VISA_SESSION.encode())
        add("usr/share/applications/silx-view.desktop", b"[Desktop Entry]\n", mode=0o644)
        add("opt/visa/packages.txt", PACKAGES, mode=0o644)
        add("opt/visa/boot.js.gz", gzip.compress(BOOT), mode=0o644)
        add("opt/visa/image.json", ABOUT, mode=0o644)
        add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", mode=0o644)
    return buffer.getvalue()


def tools_missing() -> list[str]:
    """The programs these tests need that this machine has not."""
    return [tool for tool in ("podman", "dockerd", "runc", "busybox", "ip") if shutil.which(tool) is None]
