"""What is free is told by the nodes alone, and asked for once for all who look."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from visa_spawner.backends.slurm import capacity
from visa_spawner.backends.slurm.clients.base import SlurmClient, SlurmSilent
from visa_spawner.backends.slurm.monitor import Monitor
from visa_spawner.backends.slurm.seen import Job, Node
from visa_spawner.session import Resources

GIB = 1 << 30
IDLE = Node(
    name="n1",
    address="10.0.0.1",
    states=frozenset(["IDLE"]),
    partitions=frozenset(["main", "gpu"]),
    cpus=8,
    memory=64 * GIB,
    gpus={"a100": 2, "l40s": 1},
    free_cpus=8,
    free_memory=64 * GIB,
    free_gpus={"a100": 2, "l40s": 1},
    default_partition="main",
)
BUSY = replace(IDLE, name="n2", free_cpus=2, free_memory=4 * GIB, free_gpus={"a100": 1, "l40s": 0})
DRAINED = replace(
    IDLE,
    name="n3",
    states=frozenset(["IDLE", "DRAIN"]),
    free_cpus=0,
    free_memory=0,
    free_gpus={},
    reason="new fans",
)
SMALL = Resources(2, 4 * GIB)


class Told(SlurmClient):
    """A cluster that says what it is told to say: the nodes below are no nodes of the test cluster's."""

    def __init__(self, *nodes, jobs=(), expected=None):
        self.told, self.listed, self.start, self.questions = list(nodes), list(jobs), expected, 0
        self.silent = False

    async def jobs(self):
        if self.silent:
            raise SlurmSilent("no answer")
        return self.listed

    async def nodes(self):
        return self.told

    async def ended_job(self, job_id):
        return None

    async def expected_start(self, **wanted):
        self.questions += 1
        self.wanted = wanted
        await asyncio.sleep(0.01)
        return self.start


async def ask(client, *resources, partition=""):
    monitor = Monitor(client, "here")
    try:
        await monitor.asked_once()
        known = capacity.Capacity(monitor, partition)
        answers = await asyncio.gather(*(known.availability(one, 2.5) for one in resources))
    finally:
        await monitor.close()
    return answers[0] if len(answers) == 1 else answers


async def test_room_is_counted_by_what_runs_out_first():
    assert await ask(Told(IDLE, BUSY), SMALL) == capacity.Availability(5, "Free now: 10 of 16 cores.")
    answer = await ask(Told(IDLE, BUSY), replace(SMALL, gpus=1))
    assert (answer.sessions, answer.words) == (
        4,
        "Free now: 10 of 16 cores, 3 of 4 a100 GPUs, 1 of 2 l40s GPUs.",
    )
    answer = await ask(Told(IDLE, BUSY), replace(SMALL, gpus=2, gpu_type="a100", partition="gpu"))
    assert (answer.sessions, answer.words) == (1, "Free now: 10 of 16 cores, 3 of 4 a100 GPUs.")


async def test_a_session_on_several_nodes_takes_each_once():
    assert (await ask(Told(IDLE, BUSY), replace(SMALL, nodes=2))).sessions == 1
    answer = await ask(Told(IDLE, replace(BUSY, cpus=1)), replace(SMALL, nodes=2))
    assert answer.words == f"{capacity.TOO_LARGE}: it takes 2, and only 1 machine is that large."


async def test_closed_nodes_and_partitions_have_no_room():
    assert await ask(Told(DRAINED), SMALL) == capacity.Availability(0, capacity.CLOSED)
    shut = replace(IDLE, closed_partitions=frozenset(["gpu"]))
    assert (await ask(Told(shut), replace(SMALL, partition="gpu"))).words == capacity.CLOSED
    assert (await ask(Told(shut), SMALL)).sessions == 4


async def test_the_partition_is_the_plans_then_the_sites_then_the_clusters():
    other = replace(BUSY, partitions=frozenset(["gpu"]), default_partition="")
    assert (await ask(Told(IDLE, other), SMALL)).words == "Free now: 8 of 8 cores."
    assert (await ask(Told(IDLE, other), SMALL, partition="gpu")).words == "Free now: 10 of 16 cores."
    assert "no part named nowhere" in (await ask(Told(IDLE), replace(SMALL, partition="nowhere"))).words
    none = replace(IDLE, default_partition="")
    assert (await ask(Told(none), SMALL)).words == capacity.NOWHERE


@pytest.mark.parametrize(
    ("node", "wanted", "words"),
    [
        (BUSY, replace(SMALL, gpus=1, gpu_type="l40s"), "The only one of the l40s GPUs is in use."),
        (BUSY, replace(SMALL, gpus=2, gpu_type="a100"), "Only 1 of 2 a100 GPUs is free, or none where"),
        (BUSY, replace(SMALL, memory=8 * GIB), "The memory of the machines for this plan is in use."),
        (BUSY, replace(SMALL, cpus=4), "The cores of the machines for this plan are in use."),
    ],
)
async def test_why_there_is_no_room(node, wanted, words):
    answer = await ask(Told(node), wanted)
    assert (answer.sessions, answer.possible) == (0, True)
    assert answer.words.startswith(words)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (replace(SMALL, cpus=9), ": the largest has 8 cores."),
        (replace(SMALL, memory=65 * GIB), ": the largest has 64 GB of memory."),
        (replace(SMALL, gpus=1, gpu_type="h100"), ": none has h100 GPUs."),
        (replace(SMALL, gpus=3, gpu_type="a100"), ": none has more than 2 a100 GPUs."),
        (replace(SMALL, nodes=4), ": it takes 4, and only 2 machines are that large."),
        (replace(SMALL, cpus=8, gpus=1), " in one."),
    ],
)
async def test_what_no_machine_has_is_not_waited_for(wanted, words):
    bare = replace(IDLE, name="n4", gpus={}, free_gpus={})
    here = [replace(IDLE, cpus=4, free_cpus=4), bare] if words == " in one." else [IDLE, BUSY]
    client = Told(*here, expected=datetime.now(UTC) + timedelta(hours=1))
    answer = await ask(client, wanted)
    assert (answer.sessions, answer.possible, answer.expected) == (0, False, None)
    assert answer.words == f"{capacity.TOO_LARGE}{words}"
    assert client.questions == 0


async def test_a_part_that_is_not_there_is_not_waited_for_and_a_closed_one_is():
    assert not (await ask(Told(IDLE), replace(SMALL, partition="moon"))).possible
    assert (await ask(Told(DRAINED), SMALL)).possible


async def test_without_room_the_expected_start_is_told_and_asked_once_for_all():
    start = datetime.now(UTC) + timedelta(hours=1)
    client = Told(BUSY, expected=start)
    wanted = replace(SMALL, cpus=3.5, gpus=1, gpu_type="a100")
    answers = await ask(client, *[wanted] * 20)
    assert {answer.expected for answer in answers} == {start}
    # The pages say when, in the reader's own time: see `Availability.expected`.
    assert answers[0].words == "The cores of the machines for this plan are in use."
    assert client.questions == 1
    assert client.wanted == {
        **{"partition": "", "cpus": 4, "memory": 4 * GIB, "gpus": 1, "gpu_type": "a100"},
        **{"nodes": 1, "minutes": 150},
    }


async def test_plans_of_another_time_have_another_start():
    client = Told(BUSY, expected=datetime.now(UTC) + timedelta(hours=1))
    monitor = Monitor(client, "here")
    await monitor.asked_once()
    known = capacity.Capacity(monitor)
    asked = []
    for hours in (8, 1, 8):
        await known.availability(replace(SMALL, cpus=4), hours)
        asked.append((client.questions, client.wanted["minutes"]))
    await monitor.close()
    assert asked == [(1, 480), (2, 60), (2, 60)]


async def test_an_expected_start_is_asked_again_after_a_while(monkeypatch):
    monkeypatch.setattr(capacity, "EXPECTED_FOR", 0.05)
    client = Told(BUSY, expected=None)
    monitor = Monitor(client, "here")
    await monitor.asked_once()
    known = capacity.Capacity(monitor)
    wanted = replace(SMALL, cpus=4)
    for _ in range(3):
        await known.availability(wanted, 2.5)
        await asyncio.sleep(0.06)
    await monitor.close()
    assert client.questions == 3


async def test_with_room_nobody_asks_for_an_expected_start():
    client = Told(IDLE)
    await ask(client, SMALL)
    assert client.questions == 0


async def test_those_who_wait_are_told_of():
    waits = Job(1, 1000, "", "PENDING", partition="main", priority=5, tasks=12)
    answer = await ask(Told(IDLE, jobs=[waits]), SMALL)
    assert answer.words == "Free now: 8 of 8 cores. 12 jobs wait in the queue."


async def test_silence_is_no_number():
    client = Told(IDLE)
    client.silent = True
    assert await ask(client, SMALL) == capacity.SILENT


def test_nodes_for_the_page_of_machines():
    state = capacity.state_of(DRAINED, ["bob/x", "alice/y"])
    assert (state.scheduled, state.closed, state.drained, state.answers) == (True, True, False, True)
    assert state.words == "Slurm starts nothing new there: new fans"
    assert state.sessions == ("alice/y", "bob/x")
    assert (state.cpus, state.gpus, state.free_gpus) == (8, 3, 0)
    gone = replace(IDLE, states=frozenset(["DOWN", "NOT_RESPONDING"]), reason="a\x1b[2Jb\nc")
    state = capacity.state_of(gone, [])
    assert (state.answers, state.closed, state.words) == (False, True, "Slurm does not reach it: a [2Jb c")
    assert capacity.state_of(IDLE, []).words == ""
