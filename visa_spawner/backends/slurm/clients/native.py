"""Slurm asked through pyslurm, for what it tells whole; the commands for the rest.

The list of jobs is asked for all the time, so it is the one that pyslurm gets. It does not tell which GPUs of
a node are taken, nor when a job would start; and accounting is asked too rarely to matter. Of an exit code
of 128 and more pyslurm takes 128 off.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..seen import ENDED, WAITING, Job, Node
from .base import SlurmClient, SlurmSilent
from .commands import CommandsClient
from .exchange import give_up
from .fields import Unreadable, count_tasks

HELPER = Path(__file__).with_name("native_helper.py")
#: Seconds that a new helper may take to import pyslurm, which reads Slurm's configuration.
_IMPORT_LIMIT = 30.0
_RELEASE = re.compile(r"(\d+)\.0?(\d+)")


class Unfit(Exception):
    """pyslurm cannot be used here; the text says why."""


class NativeClient(SlurmClient):
    """`limit` in seconds. A helper that takes longer is killed, and the next question gets a new one."""

    def __init__(self, commands: CommandsClient, slurm_conf: str, *, limit: float, version: str = ""):
        self._commands, self._limit = commands, limit
        self._environment = _environment(slurm_conf)
        self._helper: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()
        #: The last answer, and its jobs: where nothing has changed nothing is read again.
        self._told, self._jobs = b"", []
        self.name = f"pyslurm {version}".rstrip()

    async def jobs(self) -> list[Job]:
        async with self._one:
            try:
                async with asyncio.timeout(self._limit):
                    told = await self._ask()
            except BaseException as error:
                # What it still says would be taken for the next answer.
                await self._end()
                if isinstance(error, TimeoutError):
                    raise SlurmSilent(f"pyslurm got no answer within {self._limit:g} seconds") from None
                if isinstance(error, (OSError, EOFError, ValueError)):
                    raise SlurmSilent(f"pyslurm's helper ended: {error}") from error
                raise
        if told == self._told:
            return self._jobs
        content = json.loads(told)
        if "silent" in content:
            raise SlurmSilent(content["silent"])
        for text in content["skipped"]:
            self._commands.skipped(text)
        jobs = []
        for values in content["jobs"]:
            try:
                jobs.append(read_job(values))
            except (Unreadable, TypeError) as error:
                self._commands.skipped(f"{error}, in {values!r:.300}")
        self._told, self._jobs = told, jobs
        return jobs

    async def nodes(self) -> list[Node]:
        return await self._commands.nodes()

    async def ended_job(self, job_id: int) -> Job | None:
        return await self._commands.ended_job(job_id)

    async def expected_start(self, **wanted) -> datetime | None:
        return await self._commands.expected_start(**wanted)

    async def close(self) -> None:
        async with self._one:
            await self._end()

    async def _ask(self) -> bytes:
        if self._helper is None or self._helper.returncode is not None:
            await self._end()
            self._helper = await asyncio.create_subprocess_exec(
                *_command(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environment,
                cwd="/",
            )
            await self._frame()
        self._helper.stdin.write(b"?")
        await self._helper.stdin.drain()
        return await self._frame()

    async def _frame(self) -> bytes:
        length = await self._helper.stdout.readline()
        return await self._helper.stdout.readexactly(int(length))

    async def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            give_up(helper)


def read_job(values: list) -> Job:
    """A job from the helper's fields; raises Unreadable or TypeError."""
    number, uid, mark, state, reason, partition, priority, host, *rest = values
    submitted, start, end, minutes, restarts, code, signal, tasks = rest
    if not state or number is None or uid is None:
        raise Unreadable("no id, owner or state")
    waiting, ended = state in WAITING, state in ENDED
    return Job(
        id=number,
        uid=uid,
        mark=mark or "",
        state=state,
        reason="" if reason in (None, "None") else reason,
        partition=partition or "",
        priority=priority or 0,
        host="" if waiting else host or "",
        submitted=_time(submitted),
        start=_time(start),
        end=None if waiting else _time(end),
        # More than a year is no limit, as the commands have it too.
        limit=timedelta(minutes=minutes) if minutes and minutes <= 366 * 24 * 60 else None,
        restarts=restarts or 0,
        exit_code=(code or 0) if ended else 0,
        signal=(signal or 0) if ended else 0,
        tasks=count_tasks(tasks or ""),
    )


def probe(slurm_conf: str, release: str) -> str:
    """pyslurm's version, where it imports and is made for Slurm `release` (`22.05`); raises Unfit.

    Blocks for as long as an import takes.
    """
    if importlib.util.find_spec("pyslurm") is None:
        raise Unfit("pyslurm is not installed in the hub's environment")
    if slurm_conf and not os.access(slurm_conf, os.R_OK):
        # libslurm would wait a minute for it.
        raise Unfit(f"{slurm_conf} cannot be read")
    try:
        done = subprocess.run(
            _command(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(slurm_conf),
            cwd="/",
            timeout=_IMPORT_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"importing pyslurm took more than {_IMPORT_LIMIT:g} seconds") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unfit(f"pyslurm does not import: {said[-1][:300] if said else f'exit code {done.returncode}'}")
    version = json.loads(done.stdout.partition(b"\n")[2])["version"]
    if _release(version) != _release(release):
        raise Unfit(f"pyslurm {version} is made for another Slurm than {release}")
    return version


def _release(version: str) -> tuple[str, ...] | None:
    """`22.05.8` and `22.5.3` are of one release."""
    match = _RELEASE.match(version)
    return match.groups() if match else None


def _command() -> list[str]:
    return [sys.executable, "-I", str(HELPER)]


def _environment(slurm_conf: str) -> dict[str, str]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC0"}
    if slurm_conf:
        environment["SLURM_CONF"] = slurm_conf
    elif "SLURM_CONF" in os.environ:
        environment["SLURM_CONF"] = os.environ["SLURM_CONF"]
    return environment


def _time(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds < 1 << 32 else None
