"""Many sessions on several nodes, on real engines: books, restarts of the hub, engines that fall silent."""

import asyncio
import signal
import time

import engines
import pytest
from container_support import WAIT_FOR_GO, go, node, plan, settings, until
from engines import HUB
from prometheus_client import REGISTRY

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.backends.engine import EngineSilent
from visa_spawner.backends.fleet import Fleet
from visa_spawner.backends.refusals import StopDelayed
from visa_spawner.session import Resources, StartRefused, State


async def restart_hub(fleet):
    """What a restart of the hub does to the fleet: it forgets everything."""
    await fleet.close()


async def test_a_session_goes_to_the_node_with_room(podman, docker_engine, make_backend):
    config = settings([node(podman, cpus=1, memory="1G"), node(docker_engine, cpus=1, memory="2G")])
    backends = [make_backend(config, plan(f"alice/{name}", cpus=0.5)) for name in "abcde"]
    for backend in backends[:4]:
        await backend.start()
    assert [backend.node_name for backend in backends[:4]] == ["docker", "docker", "podman", "podman"]
    room = await ContainerBackend.availability(Resources(0.5, 1 << 20), config)
    assert (room.sessions, room.words) == (0, "The cores of the nodes for this plan are in use.")
    with pytest.raises(StartRefused, match="cores"):
        await backends[4].start()
    await backends[0].stop(now=True)
    assert (await ContainerBackend.availability(Resources(0.5, 1 << 20), config)).words == "Room for 1 now."
    for backend in backends[1:4]:
        await backend.stop(now=True)


async def test_two_people_asking_for_the_last_gpu_at_once_one_gets_it(podman, make_backend, devices):
    config = settings([node(podman, gpus={"7": {"type": "x", "devices": devices[:1]}})])
    for turn in range(3):
        pair = [make_backend(config, plan(f"{who}/s{turn}", gpus=1)) for who in ("alice", "bob")]
        results = await asyncio.gather(*(one.start() for one in pair), return_exceptions=True)
        assert sorted(isinstance(result, StartRefused) for result in results) == [False, True]
        assert len(engines.RunningEngine.containers(podman, HUB)) == 1
        await asyncio.gather(*(one.stop(now=True) for one in pair))


async def test_a_restarted_hub_finds_its_sessions_and_their_gpus(engine, make_backend, devices):
    gpus = {str(number): {"type": "x", "devices": [path]} for number, path in enumerate(devices)}
    config = settings([node(engine, gpus=gpus)])
    first = make_backend(config, plan("alice/a", gpus=2))
    await first.start()
    state, taken = first.get_state(), Fleet.of(config).placement.taken[first.object_name]
    # Made but never started also holds its GPU.
    engine.client.create_container(
        engines.IMAGE,
        ["sleep", "9"],
        name=f"{HUB}-made",
        labels={
            "visa.hub": HUB, "visa.session": "bob/b", "visa.cpus": "1", "visa.memory": "1", "visa.gpus": "2",
        },
    )  # fmt: skip
    await restart_hub(first.fleet)
    again = make_backend(config, state=state)
    assert await again.poll() is None
    assert again.status.state is State.RUNNING
    again.reported_port = 8888
    assert (await again.address()).endswith(":8888")
    assert Fleet.of(config).placement.taken[again.object_name] == taken
    room = await ContainerBackend.availability(Resources(1, 1 << 20, 1), config)
    assert (room.sessions, room.words) == (0, "All 3 GPUs of this kind are in use.")
    await again.stop(now=True)


async def test_a_session_that_ended_while_the_hub_was_away_is_explained(engine, make_backend):
    config = settings([node(engine)])
    first = make_backend(config, plan("alice/a", ("sh", "-c", f"echo last words; {WAIT_FOR_GO}; exit 3")))
    await first.start()
    state = first.get_state()
    await restart_hub(first.fleet)
    go(engine, state["container"])
    await until(lambda: engine.containers(HUB)[0]["State"] == "exited")
    again = make_backend(config, state=state)
    again.reported_port = 8888
    assert await again.poll() == 3
    assert "code 3" in again.status.words
    assert await again.last_lines() == ["last words"]
    assert engine.containers(HUB) == []


async def test_a_container_that_was_made_and_never_started_is_no_session(engine, make_backend):
    config = settings([node(engine)])
    name = f"{HUB}-half"
    labels = {"visa.hub": HUB, "visa.session": "bob/b", "visa.cpus": "1", "visa.memory": "1"}
    engine.client.create_container(engines.IMAGE, ["sleep", "9"], name=name, labels=labels)
    state = {"container": name, "node": engine.kind, "key": "bob/b"}
    backend = make_backend(config, state=state)
    assert await backend.poll() == 1
    assert "restarted while this session was starting" in backend.status.words
    assert engine.containers(HUB) == []
    # And one that the engine never heard of, since the hub was killed before it asked.
    never = make_backend(config, state=state | {"container": f"{HUB}-never"})
    assert await never.poll() == 1
    assert "Start it again" in never.status.words


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_an_engine_that_falls_silent_loses_nothing(engine, make_backend, how):
    config = settings([node(engine)], watch_timeout=2)
    backend = make_backend(config, plan(command=("visa-session",)))
    await backend.start()
    backend.reported_port = 8888
    address = await backend.address()
    engine.signal(how)
    try:
        await until(lambda: backend.status.state is State.UNKNOWN, 10)
        since = backend.status.since
        assert backend.status.words.startswith(f"Node {engine.kind} does not answer, so nobody can tell")
        assert REGISTRY.get_sample_value("visa_node_answering", {"node": engine.kind}) == 0
        for _ in range(3):
            assert await backend.poll() is None
            await asyncio.sleep(0.3)
        assert backend.status.since == since
        assert await backend.address() == address
        host, _, port = address.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        room = await ContainerBackend.availability(Resources(1, 1 << 20), config)
        assert room.words == "The nodes for this plan do not answer at the moment."
        with pytest.raises(StartRefused, match="do not answer"):
            await make_backend(config, plan("bob/b")).start()
    finally:
        if how is signal.SIGSTOP:
            engine.signal(signal.SIGCONT)
        else:
            engine.restart()
    await until(lambda: backend.status.state is State.RUNNING, 15)
    assert REGISTRY.get_sample_value("visa_node_answering", {"node": engine.kind}) == 1
    assert await backend.poll() is None
    await backend.stop(now=True)
    assert engine.containers(HUB) == []


async def test_a_dead_node_holds_up_nobody_on_another(podman, docker_engine, make_backend):
    config = settings([node(docker_engine, memory="16G"), node(podman)], engine_timeout=8, watch_timeout=2)
    on_docker = [make_backend(config, plan(f"alice/a{number}")) for number in range(2)]
    for backend in on_docker:
        await backend.start()
        assert backend.node_name == "docker"
    docker_engine.signal(signal.SIGSTOP)
    try:
        # Every thread of the dead node's is held.
        held = [asyncio.ensure_future(on_docker[0].last_lines()) for _ in range(8)]
        await until(lambda: on_docker[0].status.state is State.UNKNOWN)
        before = time.monotonic()
        other = make_backend(config, plan("bob/b"))
        await other.start()
        assert other.node_name == "podman"
        await other.stop(now=True)
        assert time.monotonic() - before < 5
    finally:
        docker_engine.signal(signal.SIGCONT)
    await asyncio.gather(*held)
    for backend in on_docker:
        await backend.stop(now=True)


async def test_a_stop_that_an_engine_does_not_hear_is_done_when_it_does(engine, make_backend):
    config = settings([node(engine)], engine_timeout=2, watch_timeout=2)
    backend = make_backend(config, plan())
    await backend.start()
    fleet = backend.fleet
    engine.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StopDelayed, match="will be ended when it does"):
            await backend.stop(now=True)
        assert backend.object_name in fleet.leftovers
        await until(lambda: backend.status.state is State.UNKNOWN)
        assert "will be ended" in backend.status.words
        assert await backend.poll() is None
        assert fleet.placement.taken
    finally:
        engine.signal(signal.SIGCONT)
    await until(lambda: not fleet.leftovers)
    assert engine.containers(HUB) == []
    assert fleet.placement.taken == {}
    await until(lambda: backend.status.state is State.STOPPED)
    assert await backend.poll() == 0


async def test_a_start_on_an_engine_that_falls_silent_is_cleared_up_later(engine, make_backend):
    config = settings([node(engine)], engine_timeout=2, watch_timeout=2)
    backend = make_backend(config, plan())
    await backend.fleet.ready()
    engine.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StartRefused, match="stopped answering") as caught:
            await backend.start()
        assert caught.value.status == 503
        assert len(backend.fleet.leftovers) == 1
        assert backend.status.state is State.FAILED
    finally:
        engine.signal(signal.SIGCONT)
    await until(lambda: not backend.fleet.leftovers)
    # The engine may carry out late what it was asked before it fell silent: the sweep sees that.
    await until(lambda: not backend.fleet.placement.taken)
    await ContainerBackend.sweep(set, config)
    assert engine.containers(HUB) == []


async def test_the_sweep_takes_what_belongs_to_nobody_and_nothing_else(engine, make_backend):
    config, other = settings([node(engine)]), settings([node(engine)], hub=f"{HUB}-other")
    mine, theirs, unlisted = (
        make_backend(config, plan("alice/a")),
        make_backend(other, plan("alice/x")),
        make_backend(config, plan("alice/b")),
    )
    await asyncio.gather(mine.start(), theirs.start(), unlisted.start())
    state, name = mine.get_state(), mine.object_name
    await restart_hub(mine.fleet)
    assert make_backend(config, state=state).object_name == name
    starting = make_backend(config, plan("carol/c"))
    task = asyncio.create_task(starting.start())
    # A session that is listed and whose spawner is not loaded is left alone.
    assert await Fleet.of(config).sweep(lambda: {"alice/a", "alice/b", "carol/c"}) == []
    assert await Fleet.of(config).sweep(lambda: {"alice/a", "carol/c"}) == [unlisted.object_name]
    await task
    assert {one["Names"][0].strip("/") for one in engine.containers(HUB)} == {name, starting.object_name}
    assert len(engine.containers(f"{HUB}-other")) == 1


async def test_an_older_container_of_a_session_that_runs_anew_is_swept(engine, make_backend):
    config = settings([node(engine)])
    old = make_backend(config, plan("alice/a"))
    await old.start()
    await restart_hub(old.fleet)
    new = make_backend(config, plan("alice/a"))
    await new.start()
    assert await new.fleet.sweep(lambda: {"alice/a"}) == [old.object_name]
    assert await new.poll() is None


async def test_a_node_that_the_settings_no_longer_name_leaves_its_sessions_unknown(engine, make_backend):
    backend = make_backend(settings([node(engine)]), plan())
    await backend.start()
    state = backend.get_state()
    moved = make_backend(settings([node(engine, name="other")]), state=state)
    assert await moved.poll() is None
    assert moved.status.state is State.UNKNOWN
    with pytest.raises(StopDelayed):
        await moved.stop()
    with pytest.raises(EngineSilent):
        moved.fleet.engine(engine.kind)


async def test_watching_costs_one_question_however_many_sessions(podman, make_backend):
    config = settings([node(podman)])
    backends = [make_backend(config, plan(f"alice/s{number}", cpus=0.1)) for number in range(6)]
    await asyncio.gather(*(backend.start() for backend in backends))
    watch = backends[0].fleet.watches["podman"]
    await watch.next_turn()
    before = watch._begun
    for _ in range(10):
        assert await asyncio.gather(*(backend.poll() for backend in backends)) == [None] * 6
    assert watch._begun - before <= 1
    # Asked at once, they share one look.
    await asyncio.gather(*(watch.fresh() for _ in range(50)))
    assert watch._begun - before <= 3
    await asyncio.gather(*(backend.stop(now=True) for backend in backends))
