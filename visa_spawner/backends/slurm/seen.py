"""What Slurm says of jobs and nodes, whichever client asked; times in UTC, memory in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: Slurm's own words for the states of a job, as `squeue` writes them in full.
ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
WAITING = frozenset("PENDING REQUEUED REQUEUE_HOLD REQUEUE_FED SPECIAL_EXIT RESV_DEL_HOLD".split())


@dataclass(frozen=True)
class Job:
    """One job, as the controller's list has it.

    `mark` is the job's comment: `visa:HUB_ID:NONCE` for those of a hub. Anybody can write any comment, so a
    mark counts only together with `uid`. `state` and `reason` are Slurm's own words (`PENDING`,
    `Resources`); `host` is the node of the batch script, empty until there is one; `restarts` how often it
    was put back into the queue; `exit_code` and `signal` mean something once it ended; `start` is the
    expected one while it waits, None where the controller has none; `end` the end of its time limit while
    it runs, and when it ended afterwards.
    """

    id: int
    uid: int
    mark: str
    state: str
    reason: str = ""
    partition: str = ""
    priority: int = 0
    host: str = ""
    submitted: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: timedelta | None = None
    restarts: int = 0
    exit_code: int = 0
    signal: int = 0

    @property
    def ended(self) -> bool:
        """Whether Slurm says that it is over; one that waits to be started again is not."""
        return self.state in ENDED

    @property
    def waiting(self) -> bool:
        """Whether it stands in the queue."""
        return self.state in WAITING


@dataclass(frozen=True)
class Node:
    """One machine of the cluster: `address` is where it is reached, `states` Slurm's words (`IDLE`, `DRAIN`).

    `gpus` counts by type, "" being untyped; `free_*` is what no job has taken, nothing while the node takes
    no jobs.
    """

    name: str
    address: str
    states: frozenset[str]
    partitions: frozenset[str]
    cpus: int
    memory: int
    gpus: dict[str, int] = field(default_factory=dict)
    free_cpus: int = 0
    free_memory: int = 0
    free_gpus: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether a new job could start here, were there room."""
        closed = {"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "MAINT", "NOT_RESPONDING"}
        return not closed & self.states
