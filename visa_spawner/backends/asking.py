"""Asks a program of ours, which runs once for each request: JSON on its standard input and its output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: All that such a program is given of an environment.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}


class CannotRun(Exception):
    """The program was not begun."""


class NoAnswer(Exception):
    """What was asked may have happened, or may still happen; the words follow on the name of the program."""


@dataclass(frozen=True)
class Said:
    """What a program that ended has said: `answer` is None where its output is no JSON object."""

    code: int
    answer: dict[str, Any] | None
    output: bytes
    errors: str


async def run(command: Sequence[str], request: Mapping[str, Any], *, timeout: float) -> Said:
    """One request to a program that need not be gone through with: late, it is ended, with all that it began.

    Raises CannotRun, NoAnswer.
    """
    process = await _begin(command)
    try:
        async with asyncio.timeout(timeout):
            output, errors = await process.communicate(json.dumps(request).encode())
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 2)  # one that sleeps in the kernel is left to it
        if isinstance(error, TimeoutError):
            raise NoAnswer(f"did not answer in {timeout:g} seconds") from error
        if isinstance(error, ConnectionError):
            raise NoAnswer("broke off") from error
        raise
    return _said(process, output, errors)


class Program:
    """`command` is run anew for every request, at most `at_once` at a time, for `timeout` seconds each."""

    def __init__(self, command: Sequence[str], *, timeout: float, at_once: int):
        self.command, self.timeout = tuple(command), timeout
        self._room = asyncio.Semaphore(at_once)
        #: Kept: the event loop alone would let go of them, and kill what they wait for.
        self._tasks: set[asyncio.Task] = set()

    async def ask(self, request: Callable[[], dict[str, Any]]) -> Said:
        """One request, which is made when it can be sent. Raises CannotRun, NoAnswer.

        One that is cancelled is gone through with all the same, so that nothing is left half done.
        """
        return await asyncio.shield(self._keep(self._ask(request)))

    def _keep(self, coroutine) -> asyncio.Task:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that nobody waits for any more may fail unheard.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _ask(self, request: Callable[[], dict[str, Any]]) -> Said:
        async with self._room:
            process = await _begin(self.command)
            exchange = self._keep(process.communicate(json.dumps(request()).encode()))
            # Left to its end when it is late: it has limits of its own, and half of it is worse than all.
            done, _ = await asyncio.wait({exchange}, timeout=self.timeout)
        if not done:
            raise NoAnswer(f"did not answer in {self.timeout:g} seconds")
        try:
            output, errors = exchange.result()
        except ConnectionError as error:
            raise NoAnswer("broke off") from error
        return _said(process, output, errors)


async def _begin(command: Sequence[str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Nothing of the hub's, whose environment has secrets.
            env=ENVIRONMENT,
            cwd="/",
            # Not of the hub's own group: whoever stops that one leaves it to its end.
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRun(f"{command[0]} cannot be run: {error.strerror}") from error


def _said(process: asyncio.subprocess.Process, output: bytes, errors: bytes) -> Said:
    return Said(process.returncode, _object(output), output, errors.decode("utf-8", "replace").strip())


def _object(output: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(output)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
