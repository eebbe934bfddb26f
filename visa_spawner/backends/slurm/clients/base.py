"""What the monitor asks of Slurm; two implementations, the same tests for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

from ..seen import Job, Node


class SlurmSilent(Exception):
    """The controller, the accounting daemon or the site's authentication does not answer; says nothing of
    any job. The text is for the operator's log."""


class SlurmClient(ABC):
    """Reads from the controller; never writes. Every call raises SlurmSilent when there is no answer, and
    comes back within `limit` seconds."""

    #: For the operator: `commands 22.05.8`, `pyslurm 22.5.1`.
    name: str = ""

    @abstractmethod
    async def jobs(self) -> list[Job]:
        """Every job the controller knows, of everybody, ended ones too as long as it remembers them.

        One question, whatever their number; all of them, since the place in a queue is counted among all.
        The very same list again where nothing has changed; nobody else changes it.
        """

    @abstractmethod
    async def nodes(self) -> list[Node]:
        """Every node, in one question."""

    @abstractmethod
    async def ended_job(self, job_id: int) -> Job | None:
        """A job that the controller has forgotten, from the accounting database.

        None where accounting does not know it, or there is none. Asked once a job, never in a loop.
        """

    @abstractmethod
    async def expected_start(
        self, *, partition: str, cpus: int, memory: int, gpus: int, gpu_type: str, nodes: int, minutes: int
    ) -> datetime | None:
        """When the controller expects that such a job, submitted now, would start; None: it cannot tell."""

    async def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what the client holds."""
