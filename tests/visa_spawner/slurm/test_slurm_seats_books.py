"""Which seats there should be, which a session is given, and which go first: from looks alone."""

import getpass
import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
from slurm_hub import SEATS_UID

from visa_spawner.backends.slurm.monitor import Monitor
from visa_spawner.backends.slurm.node import seat as on_node
from visa_spawner.backends.slurm.seats import books
from visa_spawner.backends.slurm.seats.kinds import Kind, kind_of
from visa_spawner.backends.slurm.seats.tending import Seats
from visa_spawner.backends.slurm.seen import Job, Node
from visa_spawner.backends.slurm.settings import SlurmSettings
from visa_spawner.session import Resources, WarmPair

GIB = 1 << 30
WORDS = {"a": "a" * 16, "b": "b" * 16}


def kind(plan):
    pair = WarmPair("light", plan, "light", Resources(4, GIB))
    return Kind(pair, "", {}, WORDS[plan])


KINDS = {kind(plan).pair.key: kind(plan) for plan in WORDS}
A, B = KINDS


def seat(number, plan, host="n1", state="RUNNING"):
    mark = f"visa:hub:{WORDS.get(plan, 'f' * 16)}{number:016x}"
    return Job(number, SEATS_UID, mark, state, partition="main", host=host)


def waiting(number, partition="main", reason="Resources", **more):
    return Job(number, 20001, "", "PENDING", reason, partition, priority=5, **more)


def node(name, *partitions, states=("IDLE",), closed=()):
    return Node(
        name, name, frozenset(states), frozenset(partitions), 4, GIB, closed_partitions=frozenset(closed)
    )


NODES = [node("n1", "main"), node("n2", "main", "gpu"), node("n3", "far")]


def test_what_is_not_as_a_new_one_would_be_goes_and_so_does_what_is_too_much():
    seats = [seat(1, "a"), seat(2, "a"), seat(3, "a"), seat(4, "b"), seat(5, "another")]
    gone = books.surplus(seats, KINDS, {A: 2, B: 1})
    assert [one.id for one in gone] == [3, 5]
    assert books.surplus(seats, {}, {}) == seats


def test_the_one_that_lacks_most_is_made_first():
    assert books.lacking([seat(1, "a")], KINDS, {A: 2, B: 1}) == [KINDS[B], KINDS[A]]
    assert books.lacking([seat(1, "a"), seat(2, "b")], KINDS, {A: 1, B: 1}) == []


@pytest.mark.parametrize(
    ("job", "waits"),
    [
        (waiting(1), True),
        (waiting(1, reason="Priority"), True),
        (waiting(1, reason="Dependency"), False),
        (waiting(1, reason="BeginTime"), False),
        (waiting(1, reason="QOSMaxJobsPerUserLimit"), False),
        (Job(1, 2, "", "PENDING", "JobHeldUser", "main", priority=0), False),
        (Job(1, 2, "", "RUNNING", "None", "main", priority=5), False),
    ],
)
def test_who_waits_for_room(job, waits):
    assert books.waits_for_room(job) is waits


def test_only_seats_where_it_could_run_are_in_a_jobs_way():
    seats = [seat(1, "a"), seat(2, "b", "n3"), seat(3, "a", "n2"), seat(4, "a", "", "PENDING")]
    assert [one.id for one in books.in_the_way(seats, [waiting(9)], NODES)] == [4, 3, 1]
    # Of any of several partitions; and what does not run yet may run anywhere.
    assert [one.id for one in books.in_the_way(seats, [waiting(9, "gpu,far")], NODES)] == [4, 3, 2]
    elsewhere = [waiting(9, "far"), waiting(10, "main")]
    assert books.sharing(elsewhere, {"gpu"}, NODES) == elsewhere[1:]


def test_the_kind_that_has_most_gives_way_first():
    seats = [seat(1, "a"), seat(2, "a"), seat(3, "a"), seat(4, "b")]
    assert [one.id for one in books.in_the_way(seats, [waiting(9)], NODES)] == [3, 2, 4, 1]


def test_a_session_is_given_the_oldest_of_its_kind_where_it_may_run():
    seats = [seat(1, "b"), seat(2, "a", "n3"), seat(3, "a", "n2"), seat(4, "a"), seat(5, "a", "", "PENDING")]
    assert books.to_give(seats, KINDS[A], "main", NODES).id == 3
    assert books.to_give(seats, KINDS[A], "main", NODES, not_on=["n2"]).id == 4
    drained = [node("n1", "main", states=("IDLE", "DRAIN")), node("n2", "main", closed=["main"])]
    assert books.to_give(seats, KINDS[A], "main", drained) is None


def test_another_image_size_or_setting_is_another_kind(tmp_path):
    settings = SlurmSettings(image_template=f"{tmp_path}/{{recipe}}", seats_hours=1)
    pair = WarmPair("light", "a", "light", Resources(4, GIB))
    (tmp_path / "light").mkdir()
    first = kind_of(pair, settings)
    assert first == kind_of(pair, settings)
    assert (first.image, first.job["minutes"], first.job["cpus"]) == (f"{tmp_path}/light", 60, 4)
    words = {first.word, kind_of(WarmPair("light", "a", "light", Resources(2, GIB)), settings).word}
    (tmp_path / "light.json").write_text('{"image": "sha256:another"}')
    words.add(kind_of(pair, settings).word)
    words.add(kind_of(pair, SlurmSettings(image_template=settings.image_template, seats_qos="low")).word)
    assert len(words) == 4


def test_a_seat_reads_its_image_and_nothing_else(tmp_path):
    image, outside = tmp_path / "image", tmp_path / "outside"
    for place, size in (("opt/visa/venv/a", 3000), ("usr/lib/b", 500), ("opt/other/c", 70)):
        (image / place).parent.mkdir(parents=True)
        (image / place).write_bytes(bytes(size))
    outside.write_bytes(bytes(9000))
    (image / "link").symlink_to(outside)
    (image / "folder").symlink_to(tmp_path)
    assert on_node.read(str(image), 1 << 30) == 3570
    # What a session runs comes first; a file that is the image is read whole; and none is no fault.
    assert on_node.read(str(image), 3000) == 3000
    assert on_node.read(str(outside), 1 << 30) == 9000
    assert on_node.read(str(tmp_path / "none"), 1 << 30) == 0


class Told:
    """A look that is written down here, in a controller's place."""

    name = "told"

    def __init__(self, jobs):
        self._jobs = jobs

    async def jobs(self):
        return self._jobs

    async def nodes(self):
        return [replace(node, free_cpus=4, free_memory=GIB) for node in NODES]

    async def close(self):
        pass


class Asked:
    """What the launcher is asked, in its place."""

    def __init__(self):
        self.held, self.cancelled = [], []

    async def hold(self, person, mark, job, image):
        self.held.append(mark)
        return 99

    async def cancel(self, person, job):
        self.cancelled.append(job)


@pytest.fixture
async def room():
    """Seats of one kind on a cluster that has these jobs, and a session with the mark SESSION."""
    monitors = []

    async def make(*jobs):
        monitor = Monitor(Told(list(jobs)), "hub")
        monitors.append(monitor)
        await monitor.asked_once()
        claim = SimpleNamespace(person={"uid": 20001}, pair=A, seat="")
        claim.given = lambda seat: setattr(claim, "seat", seat)
        cluster = SimpleNamespace(
            monitor=monitor, launch=Asked(), claims={SESSION: claim}, hub_id="hub", log=logging.getLogger()
        )
        cluster.seats, cluster.seats_user = 1, getpass.getuser()
        cluster.closed, cluster.partition = None, "main"
        cluster.closed_nodes = no_nodes
        seats = Seats(cluster)
        seats.person = seats.person | {"uid": SEATS_UID}
        kept = replace(KINDS[A], job={"partition": "main"})
        seats._kinds, seats._wanted, seats._pairs = {A: kept}, {A: 1}, {A: kept.pair}
        return seats, cluster

    yield make
    for monitor in monitors:
        await monitor.close()


async def no_nodes():
    return []


SESSION = "visa:hub:" + "5" * 32
RUNS = Job(5, 20001, SESSION, "RUNNING", partition="main", host="n2")


async def test_a_seat_whose_mark_somebody_else_wrote_into_an_older_job_is_one_all_the_same(room):
    kept = seat(7, "a")
    hidden = Job(1, 20002, kept.mark, "PENDING", "JobHeldUser", "main")
    seats, cluster = await room(RUNS, hidden, kept)
    assert seats.held() == [kept]
    await seats._make()
    assert cluster.launch.held == [], "it is there"


async def test_somebody_elses_job_with_a_sessions_mark_is_not_that_session(room):
    kept = seat(7, "a")
    copied = replace(waiting(8), uid=20002, mark=SESSION)
    seats, cluster = await room(RUNS, kept, copied)
    await seats._give_way()
    assert cluster.claims[SESSION].seat == "", "the session that runs was given none"
    assert cluster.launch.cancelled == [kept.id]
    # Nor is it one that starts, for which no seat would ever be made.
    held = replace(copied, id=1, reason="JobHeldUser")
    seats, cluster = await room(RUNS, held)
    await seats._make()
    assert len(cluster.launch.held) == 1
