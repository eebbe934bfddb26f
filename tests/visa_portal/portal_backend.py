"""The backend of the portal's tests: sessions are processes of this machine.

While the file `hold` exists in its folder a start waits; while `down` exists it cannot tell how anything
stands; while `suspendable` does sessions may be suspended, and while `full` does they do not go on. A plan of
32 cores has no room. Sessions are on the node `left`, or on `right` while that is drained.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from jupyterhub.spawner import Spawner
from local_images import image_of
from traitlets import Unicode

from visa_spawner.backends.base import Backend
from visa_spawner.session import Availability, NodeState, StartRefused, State, Status, Usage

NODES = ("left", "right")
SESSION = Path(__file__).with_name("portal_session.py")


class PortalBackend(Backend, Spawner):
    folder = Unicode().tag(config=True)
    process = None
    closed = None

    def at(self, suffix: str) -> Path:
        return Path(self.folder) / f"{self.user.name}+{self.name}.{suffix}"

    @property
    def is_down(self) -> bool:
        return (Path(self.folder) / "down").exists()

    @classmethod
    async def availability(cls, resources, config, hours):
        if resources.cpus >= 32:
            return Availability(0, "No room now; the next session ends at about 18:00")
        return Availability(3 if not resources.gpus else 1, "")

    @classmethod
    async def image(cls, recipe, digest, config):
        return image_of(Path(config.PortalBackend.folder), recipe, digest)

    @classmethod
    async def nodes(cls, config):
        marks = Path(config.PortalBackend.folder)
        here = {name: [] for name in NODES}
        for file in marks.glob("*.node"):
            if alive(file.with_suffix(".pid")):
                here[file.read_text()].append(file.stem.replace("+", "/"))
        return [
            NodeState(
                name,
                True,
                None,
                False,
                32,
                64 * 2**30,
                0,
                20,
                40 * 2**30,
                0,
                tuple(sorted(keys)),
                waiting=3 if name == "left" else 0,
            )  # fmt: skip
            for name, keys in here.items()
        ]

    @classmethod
    def drain_by(cls, closed, config):
        cls.closed = closed

    @classmethod
    async def sweep(cls, live, config):
        keys = {key.replace("/", "+") for key in live()}
        for file in Path(config.PortalBackend.folder).glob("*.pid"):
            if file.stem not in keys:
                end(file)

    @property
    def status(self):
        if self.is_down:
            return Status(State.UNKNOWN, "The machine it runs on does not answer")
        if self.may_resume:
            return Status(State.SUSPENDED, "Suspended: it stands still until you resume it.", held=True)
        if alive(self.at("pid")):
            return Status(State.RUNNING, "Running on this machine")
        return Status(State.FAILED if self.at("pid").exists() else State.STARTING)

    async def start(self):
        if self.session.resources.cpus >= 32:
            raise StartRefused("there is no room for it now", field="plan", status=503, reason="room")
        open_nodes = [name for name in NODES if self.closed is None or type(self).closed(name) is None]
        if not open_nodes:
            raise StartRefused("the nodes are being emptied", field="plan", status=503, reason="room")
        self.node_name = open_nodes[0]
        self.at("node").write_text(self.node_name)
        self.stamp(image_of(Path(self.folder), self.session.image, self.session.digest))
        person, hold = self.session.person, Path(self.folder) / "hold"
        command = [sys.executable, "-S", str(SESSION), str(hold), self.session.image]
        if self.session.image == "real":
            command = [sys.executable, "-m", "visa_session.start"]
        self.run(command, person)
        self.at("pid").write_text(str(self.process.pid))
        self.remember()

    def run(self, command, person):
        with self.at("log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=self.session.placed(ip="127.0.0.1", port=0).environment,
                cwd="/",
                stdout=log,
                stderr=log,
                user=person.uid,
                group=person.gid,
                extra_groups=person.gids,
                start_new_session=True,
            )

    async def events(self):
        yield Status(State.STARTING, "Making room on this machine")
        await asyncio.sleep(0.3)
        yield Status(State.STARTING, "Starting the session's server")

    async def poll(self):
        if self.is_down or alive(self.at("pid")):
            return None
        return self.process.poll() if self.process else 1

    async def stop(self, now=False):
        end(self.at("pid"))
        self.at("still").unlink(missing_ok=True)

    async def address(self):
        return f"http://127.0.0.1:{self.reported_port}" if self.reported_port and not self.is_down else None

    @property
    def may_suspend(self):
        return (Path(self.folder) / "suspendable").exists() and not self.may_resume

    @property
    def may_resume(self):
        return self.at("still").exists()

    async def suspend(self):
        self.at("still").touch()

    async def resume(self):
        if (Path(self.folder) / "full").exists():
            raise StartRefused("there is no room for it to go on now", field="session", status=503)
        self.at("still").unlink()

    @property
    def fixed_data(self):
        fixed = Path(self.folder) / "fixed"
        return fixed.read_text() if fixed.exists() else ""

    async def add_data(self, binds, links, texts):
        assert all(Path(bind.source).is_dir() for bind in binds)

    async def remove_data(self, targets, links, texts):
        assert targets and links

    async def usage(self):
        return Usage(1.5, 15 * 2**30, 16 * 2**30)

    async def last_lines(self, count=40):
        return self.at("log").read_text().splitlines()[-count:] if self.at("log").exists() else []


def alive(file: Path) -> bool:
    try:
        stat = Path(f"/proc/{int(file.read_text())}/stat").read_text()
    except (OSError, ValueError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end(file: Path) -> None:
    if alive(file):
        os.killpg(int(file.read_text()), signal.SIGKILL)
    file.unlink(missing_ok=True)
