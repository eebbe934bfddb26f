"""The backend without a hub: what it asks the cluster for, and what is left of it when it is interrupted."""

import asyncio
import time

import pytest
from slurm_hub import SESSION, install
from traitlets import TraitError
from traitlets.config import Config

from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.backends.slurm.backend import SlurmBackend
from visa_spawner.backends.slurm.cluster import Cluster
from visa_spawner.backends.slurm.job import new_mark
from visa_spawner.session import Batch, Person, Resources, SessionPlan, StartRefused, State

ALICE = Person("alice", 20001, 20001, (30001,), "/tmp")
MB = 1 << 20


@pytest.fixture
async def config(slurm, tmp_path):
    config = Config()
    config.SlurmBackend.hub_id = "alone"
    config.SlurmBackend.slurm_conf = str(slurm.slurm_conf)
    config.SlurmBackend.launcher = install(slurm.folder / "programs", slurm)
    config.SlurmBackend.runtime = "plain"
    config.SlurmBackend.image_template = "/usr"
    config.SlurmBackend.interval = 1
    config.SlurmBackend.nodes_interval = 1
    config.SlurmBackend.settle_seconds = 5
    config.SlurmBackend.query_timeout = 3
    yield config
    cluster = Cluster.of(config)
    for mark, claim in list(cluster.claims.items()):
        cluster.leave(mark, claim.person, int(claim.job_id or 0))
    await until(lambda: not cluster.leftovers, 60)
    await cluster.close()


def plan(key="alice/tooth", **resources):
    given = {"cpus": 1, "memory": 300 * MB} | resources
    environment = {
        INFO_VARIABLE: SessionInfo(*key.split("/")).to_json(),
        "JUPYTERHUB_API_TOKEN": "secret-of-the-session",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": f"/user/{key}/",
        "HOME": "/tmp",
    }
    command = ("/usr/bin/python3", "-I", str(SESSION), "/nowhere")
    labels = {"visa.session": key}
    return SessionPlan(
        key, ALICE, "light", Resources(**given), (), {}, environment, labels, command, Batch(hours=1)
    )


def a_backend(config, **resources):
    backend = SlurmBackend(config=config)
    backend.session = plan(**resources)
    backend.kept = []
    backend.remember = lambda: backend.kept.append(backend.get_state())
    return backend


async def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)


def own(slurm, hub_id="alone"):
    lines = slurm.run("squeue", "-h", "-o", "%i %k").splitlines()
    return [line.split()[0] for line in lines if f" visa:{hub_id}:" in line]


async def test_the_mark_is_kept_before_the_job_and_its_id_before_anything_else(config, slurm):
    backend = a_backend(config)
    steps = []

    async def follow():
        async for status in backend.events():
            steps.append(status.words)

    following = asyncio.create_task(follow())
    await backend.start()
    first, second = backend.kept[:2]
    assert (first["mark"], first["job"]) == (second["mark"], 0)
    assert second["job"] == int(own(slurm)[0])
    assert "secret" not in str(backend.kept)
    await asyncio.wait_for(backend.placed(), 30)
    await asyncio.wait_for(following, 10)
    assert steps[0] == "Asking the cluster"
    assert backend.status.state is State.RUNNING
    # Another process finds it by the first of what was kept.
    other = a_backend(config)
    other.load_state(first)
    await until(lambda: other.get_state()["job"] == second["job"])
    assert await other.poll() is None

    # Its time can be extended, in whole minutes.
    assert backend.ends() is not None
    later = await backend.extend(backend.ends() + (backend.ends() - backend.ends()))
    assert abs((later - backend.ends()).total_seconds()) < 61
    await other.stop()
    assert own(slurm) == []
    assert other.status.state is State.STOPPED


@pytest.mark.parametrize("seconds", [0, 0.005, 0.03, 0.08, 0.15, 0.3])
async def test_cancelled_at_any_moment_nothing_is_left(config, slurm, seconds):
    backend = a_backend(config)
    start = asyncio.create_task(backend.start())
    await asyncio.sleep(seconds)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await backend.stop()
    assert backend.get_state() == {}
    await until(lambda: not own(slurm))
    assert Cluster.of(config).claims == {}


async def test_over_time_is_said(config, slurm):
    backend = a_backend(config)
    await backend.start()
    await asyncio.wait_for(backend.placed(), 30)
    slurm.run("scontrol", "update", f"JobId={backend.job_id}", "EndTime=now+1")
    status = await asyncio.wait_for(backend.ended(), 90)
    assert (status.state, await backend.poll()) == (State.FAILED, 1)
    assert "used all of its" in status.words
    await backend.stop()


async def test_given_up_without_a_stop_its_job_is_ended_all_the_same(config, slurm):
    backend = a_backend(config)
    await backend.start()
    backend.clear_state()
    await until(lambda: not own(slurm))
    await until(lambda: not Cluster.of(config).leftovers)


async def test_a_job_that_slurm_does_not_know_is_said_to_be_gone(config):
    backend = a_backend(config)
    backend.load_state({"mark": new_mark("alone"), "job": 999_999, "person": _person()})
    await until(lambda: backend.status.state is State.FAILED)
    assert "no longer knows this session" in backend.status.words
    assert await backend.poll() == 1
    await backend.stop()


async def test_a_mark_that_never_comes_is_waited_for_and_then_never_started(config):
    backend = a_backend(config)
    begun = time.monotonic()
    backend.load_state({"mark": new_mark("alone"), "job": 0, "person": _person()})
    assert await backend.poll() is None
    await until(lambda: backend.status.state is State.FAILED)
    assert time.monotonic() - begun >= 5
    assert "Start it again" in backend.status.words
    await backend.stop()


async def test_a_node_that_is_closed_on_the_hub_gets_no_session(config, slurm):
    closed = {"n1": "", "n2": "for repair"}
    SlurmBackend.drain_by(closed.get, config)
    backend = a_backend(config)
    await backend.start()
    await asyncio.wait_for(backend.placed(), 30)
    assert backend.node_name in ("n3", "n4")
    nodes = {node.name: node for node in await SlurmBackend.nodes(config)}
    assert nodes[backend.node_name].sessions == ("alice/tooth",)
    closed |= {"n3": "", "n4": ""}
    with pytest.raises(StartRefused, match="No machine"):
        await a_backend(config).start()
    await backend.stop()


async def test_what_is_free_is_told(config, full_cluster):
    answer = await SlurmBackend.availability(Resources(1, 300 * MB), config)
    assert answer.sessions == 0
    assert "in use" in answer.words
    answer = await SlurmBackend.availability(Resources(1, 300 * MB, 1, "h100"), config)
    assert answer.sessions == 0
    assert not answer.possible
    assert answer.words.endswith("has what the plan asks for: none has h100 GPUs.")


async def test_a_thousand_sessions_in_the_queue_are_one_question(config, slurm, full_cluster):
    """However many they are: one look an interval, no question of their own, and a place for each."""
    count = 1000
    marks = [new_mark("alone") for _ in range(count)]
    submit = (
        "xargs -P 4 -I MARK sbatch --quiet --uid=20001 --gid=20001 --export=NONE --chdir=/ --output=/dev/null"
        " --comment=MARK --wrap=true"
    )
    given = "\n".join(marks)
    await asyncio.to_thread(slurm.run, "sh", "-c", f"{submit} > /dev/null", input=given, timeout=200)
    backends = []
    for number, mark in enumerate(marks):
        backend = SlurmBackend(config=config)
        backend.load_state({"mark": mark, "job": 0, "person": _person(), "key": f"alice/s{number}"})
        backends.append(backend)
    monitor = Cluster.of(config).monitor
    await until(lambda: all(backend.job_id for backend in backends), 60)
    before, begun = dict(monitor.asked), time.monotonic()
    cpu = time.process_time()
    await asyncio.sleep(5)
    passed = time.monotonic() - begun
    asked = {what: monitor.asked[what] - before[what] for what in before}
    assert 1 <= asked["jobs"] <= passed / 1 + 2
    assert (asked["nodes"], asked["accounting"]) == (0, 0)
    assert time.process_time() - cpu < 0.6 * passed
    places = {backend.status.words.split(":")[1].split(",")[0].strip() for backend in backends}
    assert len(places) == count, list(places)[:5]
    for backend in backends:
        Cluster.of(config).forget(backend.mark)
    slurm.run("scancel", "--user=alice")
    await asyncio.to_thread(full_cluster.free)
    await until(lambda: not own(slurm), 60)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hub_id", ""),
        ("hub_id", "Upper"),
        ("client", "rest"),
        ("runtime", "docker"),
        ("image_template", "images/{recipe}"),
        ("image_template", "/images/{user}"),
        ("gpu_device", "/dev/{other}"),
        ("extra_binds", {"relative": "ro"}),
        ("extra_binds", {"/data": "rx"}),
        ("launcher", []),
        ("commands_dir", "/nowhere"),
    ],
)
def test_a_wrong_setting_is_named(slurm_daemons, name, value):
    config = Config()
    config.SlurmBackend.hub_id = "alone"
    config.SlurmBackend.slurm_conf = str(slurm_daemons.slurm_conf)
    setattr(config.SlurmBackend, name, value)
    with pytest.raises(TraitError, match=name):
        Cluster.of(config)


def _person():
    return {"username": "alice", "uid": 20001, "gid": 20001, "home": "/tmp"}


async def test_a_session_that_says_where_it_listens_is_not_kept_waiting(config, slurm, full_cluster):
    """Its own word that it listens has the queue looked at, however long the next look is away."""
    config.SlurmBackend.interval = 120
    backend = a_backend(config)
    await backend.start()
    monitor = backend.cluster.monitor
    await until(lambda: backend._job is not None and monitor.next_look.timestamp() - time.time() > 60)
    full_cluster.free()
    await until(lambda: "RUNNING" in slurm.run("squeue", "-h", "-j", backend.job_id, "-o", "%T"))
    assert await backend.address() is None
    backend.reported_port = 4711
    await asyncio.wait_for(backend.placed(), 20)
    assert (await backend.address()).endswith(":4711")
    await backend.stop()
