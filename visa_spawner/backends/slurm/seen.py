"""What Slurm says of jobs and nodes, whichever client asked; times in UTC, memory in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: Slurm's own words for the states of a job, as `squeue` writes them in full.
ENDED = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
WAITING = frozenset("PENDING REQUEUED REQUEUE_HOLD REQUEUE_FED SPECIAL_EXIT RESV_DEL_HOLD".split())

#: States of a node in which it takes no new jobs, or those of a reservation alone.
CLOSED = frozenset(
    "BLOCKED DOWN DRAIN DRAINED DRAINING ERROR FAIL FAILING FUTURE INVALID_REG MAINT MAINTENANCE"
    " NOT_RESPONDING POWERING_DOWN REBOOT_ISSUED REBOOT_REQUESTED RESERVED UNKNOWN".split()
)


@dataclass(frozen=True)
class Job:
    """One job, as the controller's list has it.

    `mark` is the job's comment: `visa:HUB_ID:NONCE` for those of a hub. Anybody can write any comment, so a
    mark counts only together with `uid`. `state` and `reason` are Slurm's own words (`PENDING`,
    `Resources`); `host` is the node of the batch script, empty until there is one; `restarts` how often it
    was put back into the queue; `exit_code` and `signal` mean something once it ended; `start` is the
    expected one while it waits, None where the controller has none, and may lie in the past; `end` the end
    of its time limit while it runs, and when it ended afterwards. `tasks` is how many jobs stand behind one
    entry of the queue, as the waiting tasks of a job array do. `cancelled_by` is the uid that cancelled it,
    known from accounting alone.
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
    tasks: int = 1
    cancelled_by: int | None = None

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
    no jobs. `default_partition` is the cluster's own, where the node is in it; `closed_partitions` are those
    of its partitions that start no jobs.
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
    default_partition: str = ""
    closed_partitions: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether anybody's new job could start here, were there room."""
        return not CLOSED & self.states
