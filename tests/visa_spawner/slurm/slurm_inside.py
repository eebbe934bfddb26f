"""A real hub whose sessions are containers of the real image, with the cluster."""

import asyncio
import contextlib
import json
import os
import subprocess
import uuid
from pathlib import Path

from local_hub import Hub
from slurm_cluster import NODE_NAMES
from slurm_hub import CONFIG, SlurmHub
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from demo.cluster import inside
from images.engine import podman_environment

#: This machine, as containers on podman's own network see it.
BRIDGE = "10.88.0.1"
IMAGE = "localhost/visa/base:latest"
OPTIONS = {"experiments": ["A-1"], "profile": "work", "plan": "small", "interface": "lab"}

CONFIG = CONFIG.replace(
    'for name, value in SETTINGS["slurm"].items()',
    'for name, value in SETTINGS["container"].items():\n    setattr(c.ContainerBackend, name, value)\n'
    'for name, value in SETTINGS["access"].items():\n    setattr(c.ClusterAccess, name, value)\n'
    'for name, value in SETTINGS["slurm"].items()',
)
assert "ClusterAccess" in CONFIG


class InsideHub(SlurmHub):
    """A hub on podman's bridge, with containers and jobs; `image` is where nodes have the sessions' image."""

    config = CONFIG

    def __init__(self, root, cluster, engine, image, **site):
        super().__init__(
            root, cluster, "inside", cmd=["visa-session"], runtime="bubblewrap", image_template=image, **site
        )
        self.hub_url = self.hub_url.replace("127.0.0.1", BRIDGE)
        self.container = {
            "hub_id": f"inside-{os.getpid()}",
            "nodes": [{"name": "here", "engine": engine, "cpus": 8, "memory": "16G", "network": "podman"}],
            "watch_interval": 0.5,
        }
        inside.write(cluster.layout, BRIDGE)
        self.access = {
            "binds": inside.binds(cluster.layout),
            "environment": inside.environment(cluster.layout),
            "in_image": inside.in_image(image, str(root), str(cluster.folder)),
            "accounts": {"slurm": 999},
        }
        self.spawner |= {"start_timeout": 120}

    def settings(self):
        return super().settings() | {"container": self.container, "access": self.access}

    def containers(self):
        """This hub's, running or not: `{OWNER/NAME: id}`."""
        rows = podman("ps", "-a", "--filter", f"label=visa.hub={self.container['hub_id']}",
                      "--format", '{{.Labels}}|{{index .Labels "visa.session"}}|{{.ID}}')  # fmt: skip
        return {row.split("|")[-2]: row.split("|")[-1] for row in rows.splitlines()}

    def remove_containers(self):
        if ids := list(self.containers().values()):
            podman("rm", "-f", "-t", "0", *ids)

    def ask(self, name, method, path, who="alice", **options):
        """A call to a session's own server, through the proxy."""
        headers = {"Authorization": f"token {self.token(who)}"}
        return self.http.request(method, self.address(name, "alice") + path, headers=headers, **options)


class Shell:
    """A terminal of a session, as JupyterLab opens it: with the environment that people have."""

    def __init__(self, hub, name, who="alice"):
        self.hub, self.name, self.who = hub, name, who
        self.home = hub.root / "home" / who
        self.uid = hub.accounts[who]["uid"]
        made = hub.ask(name, "POST", "api/terminals", who, json={})
        self.terminal = made.raise_for_status().json()["name"]

    def put(self, name, text):
        """A file of the person's own in their home."""
        path = self.home / name
        path.write_text(text)
        os.chown(path, self.uid, self.uid)
        return path

    def run(self, script, timeout=60):
        """What a script prints, run with the home as its directory; fails unless it succeeds."""
        code, words = self.tried(script, timeout)
        assert code == 0, words
        return words

    def tried(self, script, timeout=60):
        """Exit code of a script, and what it prints."""
        file = self.put(f"run-{uuid.uuid4().hex}.sh", script)
        out, code = file.with_suffix(".out"), file.with_suffix(".code")
        asyncio.run(self._type(f"cd ~; bash {file} < /dev/null > {out} 2>&1; echo $? > {code}\r"))
        self.hub.until(lambda: code.exists() and code.read_text().endswith("\n"), timeout, script)
        words = int(code.read_text()), out.read_text()
        for one in (file, out, code):
            one.unlink()
        return words

    async def _type(self, line):
        url = self.hub.address(self.name).replace("http", "ws", 1) + f"terminals/websocket/{self.terminal}"
        headers = {"Authorization": f"token {self.hub.token(self.who)}"}
        socket = await websocket_connect(HTTPRequest(url, headers=headers))
        # It says "setup" first; what is typed before that is lost.
        await socket.read_message()
        await socket.write_message(json.dumps(["stdin", line]))
        while line.split(";")[0] not in (await socket.read_message() or line):
            pass
        socket.close()


def podman(*command):
    done = subprocess.run(["podman", *command], capture_output=True, text=True, env=podman_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def engine(folder):
    """Podman's service, with the images of this machine; its address."""
    address = f"unix://{folder}/podman.sock"
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", address], env=podman_environment(), start_new_session=True
    )
    try:
        Hub.until(lambda: Path(folder, "podman.sock").exists(), 20, "podman's service listens")
        yield address
    finally:
        process.terminate()
        process.wait()


def image_on_nodes(cluster):
    """The image's tree on every node, as an operator's unpacked one, but without a copy; its path."""
    layers = json.loads(podman("image", "inspect", "--format", "{{json .GraphDriver.Data}}", IMAGE))
    lower = ":".join(filter(None, (layers["UpperDir"], layers.get("LowerDir", ""))))
    place = cluster.folder / "image"
    place.mkdir(exist_ok=True)
    for name in NODE_NAMES:
        entered = ["nsenter", "-m", "-t", str(first_process(cluster, name))]
        command = [*entered, "mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", str(place)]
        subprocess.run(command, check=True)
    # The mounts end with the nodes.
    return str(place)


def first_process(cluster, node):
    """The process whose mounts are the node's."""
    return cluster.process_of(node).children()[0].pid
