"""Asks the launcher, which acts on the cluster as a session's owner."""

from __future__ import annotations

import logging
from typing import Any

from ..asking import CannotRun, NoAnswer, Program, Said

log = logging.getLogger(__name__)


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
        self._program = Program(command, timeout=timeout, at_once=at_once)

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
        try:
            said = await self._program.ask(lambda: {"do": do, "person": person, **values})
        except CannotRun as error:
            raise LauncherRefused("other", str(error)) from error
        except NoAnswer as error:
            raise LauncherSilent(f"the launcher {error} ({do})") from error
        return _answer(do, said)


def _answer(do: str, said: Said) -> dict:
    """What the launcher's output means."""
    errors = said.errors[-1000:]
    if errors:
        log.warning("The launcher said (%s): %s", do, errors)
    if said.answer is None:
        if said.code > 0 and not said.output:
            # It, or sudo, ended before it did anything.
            raise LauncherRefused("other", errors or f"the launcher ended with code {said.code}")
        raise LauncherSilent(f"the launcher broke off with code {said.code} ({do})")
    kind, text = said.answer.get("refused"), str(said.answer.get("text", ""))
    if kind == "silent":
        raise LauncherSilent(text)
    if kind is not None:
        raise LauncherRefused(str(kind), text)
    return said.answer
