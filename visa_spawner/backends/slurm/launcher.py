"""Asks the launcher, which acts on the cluster as a session's owner."""

from __future__ import annotations

from typing import Any


class LauncherRefused(Exception):
    """The launcher, or Slurm, said no: `kind` is one of the contract's, the text Slurm's own."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind, self.text = kind, text


class LauncherSilent(Exception):
    """No answer: what was asked may have happened, or may still happen."""


class Launcher:
    """One a hub; `command` is run anew for every request, at most `at_once` at a time.

    `person` is what `job.person` gives. Every call raises LauncherRefused and LauncherSilent.
    """

    def __init__(self, command: list[str], *, timeout: float, at_once: int):
        raise NotImplementedError

    async def submit(self, person: dict, mark: str, job: dict, plan: dict, token: str) -> int:
        """Submit a job; gives its id."""
        raise NotImplementedError

    async def cancel(self, person: dict, job_id: int) -> None:
        """Cancel a job; harmless when it is over."""
        raise NotImplementedError

    async def deliver(self, person: dict, mark: str, token: str) -> None:
        """Give a job that starts again its token."""
        raise NotImplementedError

    async def log(self, person: dict, mark: str, lines: int) -> list[str]:
        """The end of the job's output."""
        raise NotImplementedError

    async def forget(self, person: dict, mark: str) -> None:
        """Remove the files of a mark."""
        raise NotImplementedError

    async def extend(self, person: dict, job_id: int, minutes: int) -> None:
        """Set a job's time limit anew."""
        raise NotImplementedError

    async def ask(self, person: dict, do: str, **values: Any) -> dict:
        """One request."""
        raise NotImplementedError
