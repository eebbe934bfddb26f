"""Asks the launcher, which acts on the cluster as a session's owner."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

#: All that the launcher, or sudo before it, is given of an environment.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}


class LauncherRefused(Exception):
    """The launcher, or Slurm, said no: `kind` is one of the contract's, the text Slurm's own."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind, self.text = kind, text


class LauncherSilent(Exception):
    """No answer: what was asked may have happened, or may still happen."""


class Launcher:
    """One a hub; `command` is run anew for every request, at most `at_once` at a time.

    `person` is what `job.person` gives. Every call raises LauncherRefused and LauncherSilent. A call that is
    cancelled is gone through with all the same, so that nothing is left half done.
    """

    def __init__(self, command: list[str], *, timeout: float, at_once: int):
        self.command, self.timeout = list(command), timeout
        self._room = asyncio.Semaphore(at_once)
        #: Kept: the event loop alone would let go of them, and kill what they wait for.
        self._tasks: set[asyncio.Task] = set()

    async def submit(self, person: dict, mark: str, job: dict, plan: dict, token: str) -> int:
        """Submit a job; gives its id."""
        answer = await self.ask(person, "submit", mark=mark, job=job, plan=plan, token=token)
        return int(answer["job"])

    async def hold(self, person: dict, mark: str, job: dict, image: str) -> int:
        """Submit a seat, whose node reads the image ("": what it has itself); gives the job's id."""
        return int((await self.ask(person, "hold", mark=mark, job=job, image=image))["job"])

    async def cancel(self, person: dict, job_id: int) -> None:
        """Cancel a job; harmless when it is over."""
        await self.ask(person, "cancel", job=job_id)

    async def deliver(self, person: dict, mark: str, token: str, run: int | None = None) -> None:
        """Give a job that starts again its token; `run` is its number of restarts, where that is known."""
        values = {} if run is None else {"run": run}
        await self.ask(person, "deliver", mark=mark, token=token, **values)

    async def log(self, person: dict, mark: str, lines: int) -> list[str]:
        """The end of the job's output."""
        answer = await self.ask(person, "log", mark=mark, lines=lines)
        return list(answer["lines"])

    async def forget(self, person: dict, mark: str) -> None:
        """Remove the files of a mark."""
        await self.ask(person, "forget", mark=mark)

    async def extend(self, person: dict, job_id: int, minutes: int) -> None:
        """Set a job's time limit anew."""
        await self.ask(person, "extend", job=job_id, minutes=minutes)

    async def ask(self, person: dict, do: str, **values: Any) -> dict:
        """One request."""
        request = json.dumps({"do": do, "person": person, **values}).encode()
        return await self._keep(self._ask(do, request))

    async def _keep(self, coroutine) -> dict:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that nobody waits for any more may fail unheard.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _ask(self, do: str, request: bytes) -> dict:
        async with self._room:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=_ENVIRONMENT,
                    cwd="/",
                    # Not of the hub's own group: whoever stops that one leaves the launcher to its end.
                    start_new_session=True,
                )
            except OSError as error:
                raise LauncherRefused(
                    "other", f"{self.command[0]} cannot be run: {error.strerror}"
                ) from error
            exchange = asyncio.ensure_future(process.communicate(request))
            self._tasks.add(exchange)
            exchange.add_done_callback(self._tasks.discard)
            # Left to its end when it is late: it has limits of its own, and half of it is worse than all.
            done, _ = await asyncio.wait({exchange}, timeout=self.timeout)
        if not done:
            raise LauncherSilent(f"the launcher did not answer in {self.timeout:g} seconds ({do})")
        with suppress(ConnectionError):
            output, errors = exchange.result()
            return _answer(do, process.returncode, output, errors)
        raise LauncherSilent(f"the launcher broke off ({do})")


def _answer(do: str, code: int, output: bytes, errors: bytes) -> dict:
    """What the launcher's output means."""
    said = errors.decode("utf-8", "replace").strip()[-1000:]
    if said:
        log.warning("The launcher said (%s): %s", do, said)
    try:
        answer = json.loads(output)
        kind, text = answer.get("refused"), str(answer.get("text", ""))
    except (ValueError, AttributeError):
        if code > 0 and not output:
            # It, or sudo, ended before it did anything.
            raise LauncherRefused("other", said or f"the launcher ended with code {code}") from None
        raise LauncherSilent(f"the launcher broke off with code {code} ({do})") from None
    if kind == "silent":
        raise LauncherSilent(text)
    if kind is not None:
        raise LauncherRefused(str(kind), text)
    return answer
