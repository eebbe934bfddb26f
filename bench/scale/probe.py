"""Inside the hub's process: the statements it gave its database, and how long its event loop stood still.

Loaded by the harness's settings alone. It answers on a unix socket with one JSON object, the counts since the
hub's start. A thread looks at the loop fifty times a second; where it has not turned for a while, the stack
that it stands in is kept, so that a freeze is told with its cause.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from jupyterhub.app import JupyterHub
from sqlalchemy import event
from sqlalchemy.engine import Engine

#: Seconds between two marks of the loop, and of standing still that are told with their cause.
RESOLUTION, LONG = 0.01, 0.1


class Probe:
    """What is counted."""

    def __init__(self):
        self.statements = self.commits = 0
        self.kinds: Counter[str] = Counter()
        self.stalls: list[dict] = []
        self.longest = 0.0
        self._mark = time.perf_counter()
        self._main = threading.main_thread().ident
        self._collected = self._collected_before = self._collecting = 0.0
        gc.callbacks.append(self._collector)
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._commit)

    def _statement(self, connection, cursor, statement, parameters, context, executemany):
        self.statements += 1
        self.kinds[_kind(statement)] += 1

    def _commit(self, connection):
        self.commits += 1

    def _collector(self, phase, info):
        """Python looks for garbage, for which nothing else has its turn, the thread that watches included."""
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self._collected += time.perf_counter() - self._collecting

    async def run(self, socket: str) -> None:
        Path(socket).unlink(missing_ok=True)
        await asyncio.start_unix_server(self._answer, socket)
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            await asyncio.sleep(RESOLUTION)
            now = time.perf_counter()
            self.longest = max(self.longest, now - self._mark - RESOLUTION)
            self._mark, self._collected_before = now, self._collected

    def _watch(self) -> None:
        """Beside the loop: where it stands while it stands still."""
        while True:
            time.sleep(RESOLUTION * 2)
            mark, collected = self._mark, self._collected_before
            if time.perf_counter() - mark < LONG:
                continue
            frame = sys._current_frames().get(self._main)
            stack = _told(traceback.extract_stack(frame))
            while self._mark == mark:
                time.sleep(RESOLUTION)
            if (of_it := self._collected - collected) > RESOLUTION:
                stack.append(f"{of_it:.3f} s of it looking for garbage")
            self.stalls.append({"at": time.time(), "seconds": round(self._mark - mark, 3), "stack": stack})
            del self.stalls[:-200]

    async def _answer(self, reader, writer) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        app = JupyterHub.instance()
        answer = {
            "statements": self.statements,
            "commits": self.commits,
            "kinds": dict(self.kinds.most_common(25)),
            "cpu": used.ru_utime + used.ru_stime,
            "longest": round(self.longest, 4),
            "stalls": self.stalls,
            "tasks": len(asyncio.all_tasks()),
            "spawners": sum(len(user.spawners) for user in app.users.values()),
            "rss": int(Path("/proc/self/statm").read_text().split()[1]) * 4096,
        }
        if await reader.readline() == b"reset\n":
            self.longest, self.stalls = 0.0, []
        writer.write(json.dumps(answer).encode())
        await writer.drain()
        writer.close()


def _told(stack: traceback.StackSummary) -> list[str]:
    """Where the hub and VISA stand, innermost last, and what they call at the end of it."""
    ours = [one for one in stack if "/visa_" in one.filename or "/jupyterhub/" in one.filename]
    return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in (*ours[-5:], stack[-1])]


def _kind(statement: str) -> str:
    """The verb, and of a question the first table it is put to."""
    verb, _, rest = statement.replace("\n", " ").partition(" ")
    _, _, table = rest.partition(" FROM ")
    return f"{verb} {table.split(None, 1)[0]}" if verb == "SELECT" and table else verb


def join(socket: str) -> asyncio.Task:
    """Begin, in the hub that reads its configuration."""
    return asyncio.get_running_loop().create_task(Probe().run(socket))
