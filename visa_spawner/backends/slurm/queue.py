"""The place of a waiting job, counted as the scheduler goes through its queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .seen import Job

#: Reasons for which the scheduler passes a job over: others behind it are not behind it.
PASSED_OVER = frozenset(
    "AccountNotAllowed BadConstraints BeginTime DeadLine Dependency DependencyNeverSatisfied FedJobLock"
    " InvalidAccount InvalidQOS JobArrayTaskLimit JobHeldAdmin JobHeldUser JobHoldMaxRequeue MaxMemPerLimit"
    " PartitionConfig PartitionNodeLimit PartitionTimeLimit QOSNotAllowed Reservation ReservationDeleted"
    " ReservationInvalid".split()
)


@dataclass(frozen=True)
class Place:
    """`number` of `count` jobs that wait for the same part of the cluster; the first is 1."""

    number: int
    count: int


class Queue:
    """Everybody's waiting jobs at one moment, by partition."""

    def __init__(self, jobs: Iterable[Job]):
        lines: dict[str, list[Job]] = {}
        for job in jobs:
            if stands_in_line(job):
                for partition in job.partition.split(","):
                    lines.setdefault(partition, []).append(job)
        self._places: dict[tuple[int, str], int] = {}
        self._counts: dict[str, int] = {}
        for partition, line in lines.items():
            count = 0
            for job in sorted(line, key=lambda job: (-job.priority, job.id)):
                self._places[job.id, partition] = count + 1
                count += job.tasks
            self._counts[partition] = count

    def place(self, job: Job) -> Place | None:
        """A job's place; of several partitions the best. None where it stands in no line."""
        places = [
            Place(number, self._counts[partition])
            for partition in job.partition.split(",")
            if (number := self._places.get((job.id, partition)))
        ]
        return min(places, key=lambda place: (place.number, place.count), default=None)

    def waiting(self, partition: str) -> int:
        """How many jobs wait for a partition; a job array counts by its tasks."""
        return self._counts.get(partition, 0)


def stands_in_line(job: Job) -> bool:
    """Whether the scheduler would start this job, were there room; held ones have the priority 0."""
    return job.waiting and job.priority > 0 and head(job.reason) not in PASSED_OVER


def head(reason: str) -> str:
    """Slurm's word for a reason, without the names of nodes and the like that may follow it."""
    for end in ",:(":
        reason = reason.partition(end)[0]
    return reason.strip()
