"""A backend for these tests alone: sessions are processes of this machine, found again by their marks.

Files in `marks` steer it: while `down` exists it cannot tell how anything stands; while `hold-create` or
`hold-start` exist, a start waits before its process is made, or after; while `hold-mount` or `hold-add` do,
data that are added wait before they are mounted, or after. While `full` does, nothing that is suspended goes
on. `KEY.data` says what a session was given later: each target with what stands there, the links, and the
passport.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from jupyterhub.spawner import Spawner
from local_images import image_of
from traitlets import Unicode

from visa_spawner.backends.base import Backend
from visa_spawner.session import Availability, StartRefused, State, Status

SESSION = Path(__file__).with_name("light_session.py")


class LocalBackend(Backend, Spawner):
    marks_dir = Unicode().tag(config=True)

    @property
    def marks(self):
        return Path(self.marks_dir)

    @property
    def key(self):
        return f"{self.user.name}+{self.name}"

    @classmethod
    async def availability(cls, resources, config, hours):
        return Availability(3 if not resources.gpus else 0, "" if not resources.gpus else "No GPU is free")

    @classmethod
    async def image(cls, recipe, digest, config):
        return image_of(Path(config.LocalBackend.marks_dir), recipe, digest)

    @classmethod
    async def lacks(cls, recipe, config):
        return (Path(config.LocalBackend.marks_dir) / f"lacks-{recipe}").exists()

    @classmethod
    async def sweep(cls, live, config):
        marks = Path(config.LocalBackend.marks_dir)
        if (marks / "down").exists():
            return  # what does not answer cannot be told to end anything
        found = list(marks.glob("*.pid"))
        keys = {key.replace("/", "+") for key in live()}
        for file in found:
            if file.stem not in keys:
                end(file)

    @property
    def is_down(self):
        return (self.marks / "down").exists()

    @property
    def status(self):
        if self.is_down:
            return Status(State.UNKNOWN, "The machine does not answer")
        if self.stands_still:
            return Status(State.SUSPENDED, "Standing still", held=True)
        if alive(self.marks / f"{self.key}.pid"):
            return Status(State.RUNNING, "Running here")
        return Status(State.FAILED if self.started_once else State.STARTING)

    started_once = False
    passport = ""

    async def start(self):
        plan = self.session
        if plan.resources.gpus:
            raise StartRefused("there is no room for this plan now", field="plan", status=503, reason="room")
        await self.held("hold-create")
        found = image_of(self.marks, plan.image, plan.digest)
        self.passport = self.stamp(found)
        self.make_process(plan)
        while not (self.marks / f"{self.key}.pid").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self.started_once = True
        await self.held("hold-start")
        self.remember()

    def make_process(self, plan):
        seen = {bind.target: sorted(os.listdir(bind.source)) for bind in plan.binds}
        told = {"plan": asdict(plan), "seen": seen, "passport": self.passport}
        (self.marks / f"{self.key}.plan").write_text(json.dumps(told))
        for mark in ("exit", "pid"):
            (self.marks / f"{self.key}.{mark}").unlink(missing_ok=True)
        with open(self.marks / f"{self.key}.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-S", SESSION, self.marks, self.key, plan.image],
                env=plan.placed(ip="127.0.0.1", port=0).environment,
                cwd="/",
                stdout=log,
                stderr=log,
                user=plan.person.uid,
                group=plan.person.gid,
                extra_groups=plan.person.gids,
                start_new_session=True,
            )

    async def held(self, name):
        while (self.marks / name).exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def events(self):
        yield Status(State.STARTING, "Making the process")

    async def poll(self):
        if self.is_down or alive(self.marks / f"{self.key}.pid"):
            return None
        file = self.marks / f"{self.key}.exit"
        return int(file.read_text()) if file.exists() else 1

    @property
    def stands_still(self):
        return (self.marks / f"{self.key}.still").exists()

    @property
    def may_suspend(self):
        return alive(self.marks / f"{self.key}.pid") and not self.stands_still

    @property
    def may_resume(self):
        return self.stands_still

    async def suspend(self):
        os.killpg(int((self.marks / f"{self.key}.pid").read_text()), signal.SIGSTOP)
        (self.marks / f"{self.key}.still").touch()

    async def resume(self):
        if (self.marks / "full").exists():
            raise StartRefused("there is no room for it now", field="session", status=503)
        os.killpg(int((self.marks / f"{self.key}.pid").read_text()), signal.SIGCONT)
        (self.marks / f"{self.key}.still").unlink()

    @property
    def fixed_data(self):
        return "data stay as they are here" if (self.marks / "fixed").exists() else ""

    async def add_data(self, binds, links, texts):
        self.asked_for_data()
        await self.held("hold-mount")
        given = self.given()
        given["mounts"] |= {one.target: [sorted(os.listdir(one.source)), one.read_only] for one in binds}
        given["links"] |= links
        self.give(given, texts)
        await self.held("hold-add")
        if (self.marks / "fail-add").exists():
            raise RuntimeError("it is not known whether they are there")

    async def remove_data(self, targets, links, texts):
        self.asked_for_data()
        given = self.given()
        given["mounts"] = {place: it for place, it in given["mounts"].items() if place not in targets}
        given["links"] = {place: it for place, it in given["links"].items() if place not in links}
        given["removed"] = [*given["removed"], *targets]
        self.give(given, texts)
        await self.held("hold-remove")

    def asked_for_data(self):
        if self.is_down:
            raise RuntimeError("the machine does not answer")

    def given(self):
        file = self.marks / f"{self.key}.data"
        return json.loads(file.read_text()) if file.exists() else {"mounts": {}, "links": {}, "removed": []}

    def give(self, given, texts):
        given["passport"] = next(iter(texts.values()), given.get("passport"))
        scratch = self.marks / f"{self.key}.data-new"
        scratch.write_text(json.dumps(given))
        scratch.rename(self.marks / f"{self.key}.data")

    async def stop(self, now=False):
        if self.is_down:
            raise RuntimeError("the machine does not answer")
        end(self.marks / f"{self.key}.pid")
        (self.marks / f"{self.key}.still").unlink(missing_ok=True)

    async def address(self):
        return f"http://127.0.0.1:{self.reported_port}" if self.reported_port and not self.is_down else None

    async def last_lines(self, count=40):
        file = self.marks / f"{self.key}.log"
        return file.read_text().splitlines()[-count:] if file.exists() else []

    def get_state(self):
        return {"once": self.started_once}

    def load_state(self, state):
        self.started_once = True


def alive(file):
    try:
        with open(f"/proc/{int(file.read_text())}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (OSError, ValueError):
        return False


def end(file):
    if alive(file):
        os.killpg(int(file.read_text()), signal.SIGKILL)
    file.unlink(missing_ok=True)
