"""A backend for these tests alone, with a queue: its jobs live, wait, run and are put back without a hub."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_backend import LocalBackend, alive

from visa_spawner.session import StartRefused, State, Status

JOB = Path(__file__).with_name("local_job.py")


class LocalQueue(LocalBackend):
    delivered = 0
    following = None

    @property
    def queue_limit(self):
        limit = self.marks / "queue-limit"
        return float(limit.read_text()) if limit.exists() else 3600.0

    def file(self, name):
        return self.marks / f"{self.key}.{name}"

    @classmethod
    async def sweep(cls, live, config):
        pass

    @property
    def job(self):
        """What the job says of itself; empty where there is none."""
        try:
            return json.loads(self.file("state").read_text())
        except OSError:
            return {}

    @property
    def status(self):
        if self.is_down:
            return Status(State.UNKNOWN, "The cluster does not answer")
        match self.job.get("state"):
            case "queued":
                place = self.marks / "place"
                return Status(State.STARTING, f"In the queue: {place.read_text() if place.exists() else '?'}")
            case "running":
                return Status(State.RUNNING, "Running on the cluster")
            case None if not self.started_once:
                return None
        words = self.marks / "why"
        return Status(State.FAILED, words.read_text() if words.exists() else "")

    async def start(self):
        await self.held("hold-create")
        for file in self.marks.glob(f"{self.key}.*"):
            file.unlink()
        plan = self.session
        self.file("plan").write_text(json.dumps({"hours": plan.batch.hours, "account": plan.batch.account}))
        environment = plan.placed(ip="127.0.0.1", port=0).environment
        self.file("token-0").write_text(environment.pop("JUPYTERHUB_API_TOKEN"))
        job = {
            "image": plan.image,
            "uid": plan.person.uid,
            "gid": plan.person.gid,
            "environment": environment,
        }
        self.file("job").write_text(json.dumps(job))
        process = subprocess.Popen(
            [sys.executable, JOB, self.marks, self.key], start_new_session=True, stdin=subprocess.DEVNULL
        )
        self.file("jobpid").write_text(str(process.pid))
        while not self.job:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self.started_once = True
        await self.held("hold-start")
        self.remember()
        self.follow()

    def follow(self):
        self.following = asyncio.create_task(self.deliver_tokens())

    async def deliver_tokens(self):
        """What the monitor does on a real cluster: each new run gets a token of its own."""
        while True:
            restarts = self.job.get("restarts", 0)
            if restarts > self.delivered and not self.is_down:
                await self.held("hold-renew")
                token = self.renew_token()
                await self.held("hold-deliver")
                if not token:
                    return
                self.file("new-token").write_text(token)
                self.file("new-token").replace(self.file(f"token-{restarts}"))
                self.delivered = restarts
                self.remember()
            await asyncio.sleep(0.05)

    async def events(self):
        last = ""
        while (state := self.job.get("state")) != "running":
            if state == "queued" and (said := self.status.words) != last:
                last = said
                yield Status(State.STARTING, said, queued=True)
            await asyncio.sleep(0.05)
        yield Status(State.STARTING, "It has its place")

    async def placed(self):
        while self.job.get("state") != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def poll(self):
        if self.is_down or self.job.get("state") in ("queued", "running"):
            return None
        return self.job.get("code", 1)

    def ends(self):
        if self.job.get("state") != "running":
            return None
        until = self.file("until")
        if until.exists():
            return datetime.fromisoformat(until.read_text())
        hours = json.loads(self.file("plan").read_text())["hours"]
        return datetime.fromtimestamp(self.job["began"], UTC) + timedelta(hours=hours)

    async def extend(self, until):
        if (self.marks / "no-longer").exists():
            raise StartRefused("the cluster does not let sessions run longer", status=409)
        if self.is_down:
            raise RuntimeError("the cluster does not answer")
        self.file("until").write_text(until.isoformat())
        return until

    async def stop(self, now=False):
        if self.is_down:
            raise RuntimeError("the cluster does not answer")
        if self.following:
            self.following.cancel()
        for name in ("jobpid", "pid"):
            if alive(self.file(name)):
                os.killpg(int(self.file(name).read_text()), signal.SIGKILL)
            self.file(name).unlink(missing_ok=True)
        self.file("state").unlink(missing_ok=True)

    def get_state(self):
        return {"once": self.started_once, "delivered": self.delivered}

    def load_state(self, state):
        self.started_once, self.delivered = True, state.get("delivered", 0)
        self.follow()

    def clear_state(self):
        if self.following:
            self.following.cancel()
