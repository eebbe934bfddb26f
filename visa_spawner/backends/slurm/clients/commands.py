"""Slurm asked by its own commands, which never write: `squeue`, `sinfo`, `sacct`, `sbatch --test-only`."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..seen import Job, Node
from .base import SlurmClient, SlurmSilent
from .exchange import read_all
from .fields import (
    ENDED_FIELDS,
    JOB_FIELDS,
    NODE_FIELDS,
    BrokenOff,
    Separators,
    Unreadable,
    in_all_partitions,
    read_each,
    read_ended,
    read_job,
    read_node,
)

log = logging.getLogger(__name__)

#: Records that could not be read and were told of, before all are forgotten and told of once more.
MOST_TOLD = 1000
_STARTS = re.compile(r"\bto start at (\d+) using ")
#: sbatch's words when nobody answered, where its exit code is that of a refusal.
_NO_ANSWER = re.compile(
    r"unable to contact|timed out|connection (?:refused|failure)|authentication|munge|socket|communication"
    r"|zero bytes|not responding|standby mode|unexpected message|slurm backup",
    re.IGNORECASE,
)


class CommandsClient(SlurmClient):
    """`directory` holds the commands, which find slurm.conf by themselves where `slurm_conf` is "".

    `limit` is in seconds; a command that takes longer is killed.

    A command gets no more than the environment below: no home, no variable of the hub's.
    """

    def __init__(self, directory: str, slurm_conf: str, *, limit: float):
        self._directory, self._limit = Path(directory), limit
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C",
            "TZ": "UTC0",
            "SLURM_TIME_FORMAT": "%s",
        }
        if slurm_conf:
            self._environment["SLURM_CONF"] = slurm_conf
        self.name = "commands"
        self._told: set[str] = set()
        #: The last answer, and its jobs by the bytes that squeue printed of them: read again if they differ.
        self._printed, self._jobs = b"", []
        self._read: dict[bytes, Job] = {}
        self._separators = Separators()

    async def jobs(self) -> list[Job]:
        # The same separators from one answer to the next, or no record would be the same: they stand in the
        # environment of squeue alone, which other accounts cannot read.
        separators = self._separators
        printed = await self._ask(
            "squeue",
            *("--all", "--local", "--noheader", "--states=all"),
            SQUEUE_FORMAT2=separators.format(JOB_FIELDS),
        )
        if printed == self._printed:
            return self._jobs
        known, self._read = self._read, {}

        def read(record: bytes) -> Job:
            job = known.get(record) or read_job(separators.fields(record, len(JOB_FIELDS)))
            self._read[record] = job
            return job

        self._jobs = self._read_all(separators, printed, read)
        self._printed = printed
        return self._jobs

    async def nodes(self) -> list[Node]:
        separators = Separators()
        printed = await self._ask(
            "sinfo",
            *("--all", "--local", "--noheader", "--Node"),
            f"--Format={separators.format(NODE_FIELDS)}",
        )

        def read(record: bytes) -> Node:
            return read_node(separators.fields(record, len(NODE_FIELDS)))

        return in_all_partitions(self._read_all(separators, printed, read))

    def _read_all(self, separators: Separators, printed: bytes, read: Callable[[bytes], Any]) -> list:
        try:
            return list(read_each(separators, printed, read, self.skipped))
        except BrokenOff as error:
            raise SlurmSilent(str(error)) from error

    async def ended_job(self, job_id: int) -> Job | None:
        between = Separators().between
        code, printed, said = await self._run(
            "sacct",
            *(
                "--allocations",
                "--noheader",
                "--parsable2",
                "--local",
                "--use-local-uid",
                f"--delimiter={between}",
            ),
            *(f"--jobs={int(job_id)}", f"--format={','.join(ENDED_FIELDS)}"),
        )
        if code and "accounting storage is disabled" in said:
            return None
        if code:
            raise SlurmSilent(f"sacct: {said.strip()[:500] or f'exit code {code}'}")
        return next(
            (job for job in self._ended(printed.decode("utf-8", "replace"), between) if job.id == job_id),
            None,
        )

    def _ended(self, printed: str, between: str) -> Iterable[Job]:
        """The jobs that sacct printed. A line's end alone proves nothing: a comment may have some too."""
        parts = printed.split(between)
        width = len(ENDED_FIELDS) - 1
        if len(parts) == 1:
            return
        first = parts[0]
        for at in range(1, len(parts), width):
            middle = parts[at : at + width]
            if len(middle) != width:
                self.skipped(f"{len(middle)} fields instead of {width}, in {middle!r:.300}")
                return
            # The last field of one record and the first of the next, neither of which is free text.
            last, _, following = middle[-1].partition("\n")
            try:
                yield read_ended([text.strip() for text in (first, *middle[:-1], last)])
            except Unreadable as error:
                self.skipped(f"{error}, in {middle!r:.200}")
            first = following

    async def expected_start(
        self, *, partition: str, cpus: int, memory: int, gpus: int, gpu_type: str, nodes: int, minutes: int
    ) -> datetime | None:
        asked = [
            *("--test-only", "--wrap=true", "--export=NONE", "--chdir=/", "--output=/dev/null"),
            *(f"--nodes={nodes}-{nodes}", "--ntasks-per-node=1", f"--cpus-per-task={cpus}"),
            *(f"--mem={max(1, memory >> 20)}M", f"--time={minutes}"),
        ]
        if partition:
            asked.append(f"--partition={partition}")
        if gpus:
            asked.append(f"--gres=gpu:{gpu_type}:{gpus}" if gpu_type else f"--gres=gpu:{gpus}")
        code, _, said = await self._run("sbatch", *asked)
        if code:
            if _NO_ANSWER.search(said):
                raise SlurmSilent(f"sbatch --test-only: {said.strip()[:500]}")
            return None
        found = _STARTS.search(said)
        return datetime.fromtimestamp(int(found[1]), UTC) if found else None

    def version(self) -> str:
        """Slurm's version, `22.05.8`, by the command itself; `name` tells it from then on.

        Raises OSError, ValueError and SubprocessError where that is no command of Slurm's.
        """
        done = subprocess.run(
            [self._directory / "squeue", "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._environment,
            cwd="/",
            timeout=self._limit,
            check=True,
        )
        found = re.fullmatch(r"slurm\S*\s+(\S+)", done.stdout.decode("utf-8", "replace").strip())
        if not found:
            raise ValueError(f"`squeue --version` says {done.stdout[:100]!r}")
        self.name = f"commands {found[1]}"
        return found[1]

    async def controller(self) -> str:
        """The version of the controller that answers; raises SlurmSilent."""
        printed = await self._ask("scontrol", "show", "config")
        found = re.search(rb"^SLURM_VERSION\s*=\s*(\S+)", printed, re.MULTILINE)
        if not found:
            raise SlurmSilent("scontrol show config does not tell the controller's version")
        return found[1].decode("ascii", "replace")

    async def _ask(self, command: str, *arguments: str, **environment: str) -> bytes:
        """What a command printed; raises SlurmSilent unless it was all that it had to say."""
        code, printed, said = await self._run(command, *arguments, **environment)
        if code:
            raise SlurmSilent(f"{command}: {said.strip()[:500] or f'exit code {code}'}")
        return printed

    async def _run(self, command: str, *arguments: str, **environment: str) -> tuple[int, bytes, str]:
        try:
            # Into memory: a pipe would wake the hub for each few lines of a long answer.
            with open(os.memfd_create(command), "w+b", buffering=0) as printed:
                process = await asyncio.create_subprocess_exec(
                    str(self._directory / command),
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=printed,
                    stderr=asyncio.subprocess.PIPE,
                    env=self._environment | environment,
                    cwd="/",
                )
                _, said = await read_all(process, self._limit)
                printed.seek(0)
                return process.returncode, printed.read(), said.decode("utf-8", "replace")
        except TimeoutError:
            raise SlurmSilent(f"{command} got no answer within {self._limit:g} seconds") from None
        except OSError as error:
            raise SlurmSilent(f"{self._directory / command} cannot be run: {error.strerror}") from error

    def skipped(self, text: str) -> None:
        """Tell the operator of a record that could not be read; once of each."""
        if text in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add(text)
        log.warning("Left out of what Slurm said, since it cannot be read: %s", text)
