"""A backend with a queue, as a cluster has one: what it says is written into files by the tests.

A session waits while the file `queue` is there, whose text is where it stands; the text of `said` is said
of one that runs, that of `OWNER+NAME.why` of one that was ended. `free` is what is free, as JSON. While
`no-more` is there nothing is extended, for the reason in it. Jobs go on when the hub is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

from portal_backend import SESSION, PortalBackend, alive, end

from visa_spawner.session import Availability, NodeState, StartRefused, State, Status

GB = 2**30
WORDS = "Free now: 24 of 32 cores, 3 of 8 a100 GPUs."


def text_of(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


class QueueBackend(PortalBackend):
    queue_limit = 86400.0

    def mark(self, name: str) -> str:
        return text_of(Path(self.folder) / name)

    @classmethod
    async def availability(cls, resources, config, hours):
        told = json.loads(text_of(Path(config.PortalBackend.folder) / "free") or "{}")
        expected = told.get("expected")
        words, sessions = told.get("words", WORDS), told.get("sessions", 2)
        return Availability(sessions, words, expected and datetime.fromisoformat(expected))

    @classmethod
    async def nodes(cls, config):
        marks = Path(config.PortalBackend.folder)
        keys = [f.stem.replace("+", "/") for f in marks.glob("*.job") if alive(f.with_suffix(".pid"))]
        size = (32, 256 * GB, 4)
        return [
            NodeState("cn1", True, None, False, *size, 24, 192 * GB, 3, tuple(sorted(keys)), scheduled=True),
            NodeState(
                *("cn2", True, None, False, *size, 0, 0, 0),
                scheduled=True,
                closed=True,
                words="Slurm starts nothing new there: a disk is being replaced",
            ),
        ]

    @classmethod
    def drain_by(cls, closed, config):
        """The cluster's own scheduler says what starts where."""

    @property
    def status(self):
        if self.is_down:
            return Status(State.UNKNOWN, "The cluster does not answer")
        if why := text_of(self.at("why")):
            return Status(State.FAILED, why)
        if not alive(self.at("pid")):
            return Status(State.FAILED if self.at("pid").exists() else State.STARTING)
        if words := self.mark("queue"):
            return Status(State.STARTING, words, queued=True)
        return Status(State.RUNNING, self.mark("said") or "Running on cn1")

    async def start(self):
        self.at("why").unlink(missing_ok=True)
        self.node_name = "cn1"
        queue = Path(self.folder) / "queue"
        self.run([sys.executable, "-S", str(SESSION), str(queue), self.session.image], self.session.person)
        self.at("job").touch()
        self.at("pid").write_text(str(self.process.pid))
        self.remember()

    async def placed(self):
        while self.status.queued or self.is_down:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def events(self):
        while (status := self.status).queued:
            yield status
            await asyncio.sleep(0.1)
        yield Status(State.STARTING, "Running on cn1")

    async def extend(self, until):
        if why := self.mark("no-more"):
            raise StartRefused(why, field="hours", status=403)
        return until

    async def stop(self, now=False):
        end(self.at("pid"))
        for mark in ("job", "why"):
            self.at(mark).unlink(missing_ok=True)
