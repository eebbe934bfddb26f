"""A place is counted as the scheduler goes through its queue."""

from dataclasses import replace

import pytest

from visa_spawner.backends.slurm.queue import Place, Queue
from visa_spawner.backends.slurm.seen import Job

WAITS = Job(id=10, uid=1000, mark="", state="PENDING", reason="Priority", partition="main", priority=100)


def place(job: Job, *others: Job) -> Place | None:
    return Queue([*others, job]).place(job)


def test_by_priority_then_by_number():
    first = replace(WAITS, id=99, priority=101)
    second = replace(WAITS, id=9)
    last = replace(WAITS, id=11)
    assert place(WAITS, last, first, second) == Place(3, 4)
    assert Queue([WAITS, last, first, second]).waiting("main") == 4


def test_other_partitions_do_not_count():
    assert place(WAITS, replace(WAITS, id=1, partition="gpu")) == Place(1, 1)


def test_of_several_partitions_the_best():
    both = replace(WAITS, partition="main,gpu")
    assert place(both, replace(WAITS, id=1), replace(WAITS, id=2)) == Place(1, 1)
    ahead = replace(WAITS, id=1, partition="gpu,other")
    assert place(both, ahead, replace(ahead, id=2)) == Place(1, 1)


def test_an_array_counts_by_its_tasks():
    array = replace(WAITS, id=1, tasks=500)
    assert place(WAITS, array) == Place(501, 501)
    assert place(array, WAITS) == Place(1, 501)


@pytest.mark.parametrize(
    "other",
    [
        replace(WAITS, id=1, state="RUNNING"),
        replace(WAITS, id=1, state="COMPLETED"),
        replace(WAITS, id=1, priority=0, reason="JobHeldUser"),
        replace(WAITS, id=1, priority=0, reason=""),
        replace(WAITS, id=1, reason="Dependency"),
        replace(WAITS, id=1, reason="BeginTime"),
        replace(WAITS, id=1, reason="ReservationDeleted"),
        replace(WAITS, id=1, reason="PartitionNodeLimit"),
    ],
)
def test_what_the_scheduler_passes_over_is_not_ahead(other):
    assert place(WAITS, other) == Place(1, 1)
    assert Queue([other]).place(other) is None


def test_a_put_back_job_stands_in_line():
    assert place(WAITS, replace(WAITS, id=1, state="REQUEUED")) == Place(2, 2)


def test_a_long_queue_takes_no_time_to_count():
    jobs = [replace(WAITS, id=number, priority=number % 7 + 1) for number in range(1, 20_001)]
    queue = Queue(jobs)
    assert sorted(queue.place(job).number for job in jobs) == list(range(1, 20_001))
