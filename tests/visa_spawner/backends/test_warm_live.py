"""Containers that wait and the sessions that take them, on a real engine: safe as any, and one for one."""

import asyncio
import os
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import engines
import pytest
import warm_support
from container_support import MB, logged, plan, until
from engines import HUB
from process_rights import limits, mounts, rights
from prometheus_client import REGISTRY
from warm_support import a_pair, a_session, one_waits, settings_for

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.backends.fleet import Fleet
from visa_spawner.backends.hands.client import HandsRefused, HandsSilent
from visa_spawner.backends.warm import container, handover
from visa_spawner.session import Bind, Start, StartRefused, State

TOKEN = "the-token-of-this-session-0123456789"
LOOK = """
id; hostname; env | sort; readlink /experiments/a1/raw; cat /experiments/passport.json
touch /data/processed/mine && echo wrote
for place in /data/raw/x /etc/x /experiments/x; do
    touch $place 2>/dev/null && echo "did $place"
done
echo x 2>/dev/null >> /etc/passwd && echo "did passwd"
ls /run/visa 2>/dev/null && echo "did look"; cat /proc/1/environ 2>/dev/null && echo "did read"
find / -xdev -type d -perm -0002 2>/dev/null | sed 's/^/open: /'
echo finished; sleep 100
"""


@pytest.fixture
def warm(podman):
    warm_support.add_image(podman)
    return podman


@pytest.fixture
def home(tmp_path):
    place = tmp_path / "home"
    place.mkdir()
    os.chown(place, 5001, 5001)
    return place


@pytest.fixture
def data(tmp_path):
    """Raw data with a mount of its own below, and processed; the binds of both."""
    raw, processed = tmp_path / "raw", tmp_path / "processed"
    (raw / "deep").mkdir(parents=True)
    processed.mkdir()
    os.chown(processed, 5001, 6001)
    subprocess.run(["mount", "-t", "tmpfs", "none", raw / "deep"], check=True)
    yield (Bind(str(raw), "/data/raw", True), Bind(str(processed), "/data/processed", False))
    subprocess.run(["umount", raw / "deep"], check=True)


def names(engine):
    return {one["Names"][0].strip("/") for one in engine.containers(HUB)}


def waiting_names(engine):
    return {name for name in names(engine) if name.startswith(f"visa-{HUB}-warm-")}


async def test_either_way_a_session_is_its_person_and_nothing_more(engine, make_backend, home, data):
    warm_support.add_image(engine)
    environment = {"JUPYTERHUB_API_TOKEN": TOKEN, "GREETING": "a b=c\td'\"$(x)"}
    said, right, limit, mounted = {}, {}, {}, {}
    for way, memory in (("cold", 0), ("waiting", "1G")):
        config = settings_for(engine, warm_memory=memory)
        ones = await one_waits(config, 1 if memory else 0)
        session = a_session(
            home,
            script=LOOK,
            binds=data,
            environment=environment,
            short_ways={"/experiments/a1/raw": "/data/raw"},
        )
        backend = make_backend(config, session)
        backend.stamp = lambda image: f'{{"made": "{image.digest[:12]}"}}'
        await backend.start()
        assert [one.id for one in ones] == ([backend.object_id] if memory else [])
        lines = await logged(backend, "finished")
        said[way] = [line for line in lines if "HOSTNAME=" not in line and "waiting for" not in line]
        right[way], limit[way] = rights(engine, backend.object_name), limits(engine, backend.object_name)
        mounted[way] = mounts(engine, backend.object_name)
        for command in ("touch /data/raw/x", "mount -o remount,rw /data/raw && touch /data/raw/x"):
            code, output = engine.run_inside(backend.object_name, ["sh", "-c", command], user="0")
            assert code != 0, output
        deep = engine.run_inside(backend.object_name, ["touch", "/data/raw/deep/x"], user="0")
        assert way == "cold" or "Read-only" in deep[1], deep
        assert (await backend.poll(), backend.status.state) == (None, State.RUNNING)
        found = engine.client.inspect_container(backend.object_name)
        assert TOKEN not in str(found) or way == "cold"
        backend.reported_port = 8888
        host, _, port = (await backend.address()).removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await backend.stop()
        assert Fleet.of(config).placement.taken == {}
        # A hub has one fleet: two of one name would take each other's for what an earlier hub left.
        await Fleet.of(config).close()
        (Path(data[1].source) / "mine").unlink()
    text = "\n".join(said["waiting"])
    assert "uid=5001(alice) gid=5001(alice) groups=5001(alice),6001(g6001),6002(g6002)" in text
    assert "\nfirst\n" in text and "GREETING=a b=c\td'\"$(x)" in text
    assert "\n/data/raw" in text and '{"made": "sha256:' in text and "wrote" in text
    assert TOKEN not in text and not [line for line in said["waiting"] if line.startswith("did ")]
    # Nothing differs: what it sees, what each of its processes may, and what it is held to. But data that are
    # added later stand there with what is mounted below them, as read-only as they are.
    assert [_named(line) for line in said["waiting"]] == [_named(line) for line in said["cold"]]
    assert "ro" in mounted["waiting"].pop("/data/raw/deep")
    mounted["cold"].pop("/data/raw/deep")  # as the engine has it: these data are not pinned
    assert mounted["waiting"] == mounted["cold"]
    assert right["waiting"] == right["cold"] and limit["waiting"] == limit["cold"]
    for one in right["waiting"]:
        assert one["Uid"] == ["5001"] * 4 and "0" not in one["Groups"]
        assert {one[name][0].strip("0") for name in one if name.startswith("Cap")} == {""}
    assert list(Path(data[0].source).iterdir()) == [Path(data[0].source) / "deep"]


def _named(line):
    """Without the private directory's name, which differs from start to start."""
    return re.sub(r"/visa-[a-z0-9_]{8}", "/visa-x", line)


async def test_nobodys_container_twice(warm, make_backend, home):
    config = settings_for(warm, warm_most=1)
    (one,) = await one_waits(config)
    pair = [make_backend(config, a_session(home, f"alice/s{number}")) for number in range(2)]
    await asyncio.gather(*(backend.start() for backend in pair))
    # The last one that waited went to one of them, the other was made.
    assert sorted(backend.object_id == one.id for backend in pair) == [False, True]
    for backend in pair:
        await logged(backend, "session of alice")
    taken = next(backend for backend in pair if backend.object_id == one.id)
    given = handover.document(taken.session.person, {}, b"", "")
    with pytest.raises(HandsRefused, match="does not wait"):
        await Fleet.of(config).warm.hands.hand_over(one.pid, [], "x", given, container=one.id)
    assert one.name not in names(warm)
    # And the next one that waits is another.
    (later,) = await one_waits(config)
    assert later.id != one.id
    await asyncio.gather(*(backend.stop(now=True) for backend in pair))


@pytest.mark.parametrize("how", ["killed", "silent", "gone"])
async def test_a_hand_over_that_fails_is_a_start_like_any_other(warm, make_backend, home, monkeypatch, how):
    config = settings_for(warm, warm_most=1)
    (one,) = await one_waits(config)
    hands = Fleet.of(config).warm.hands
    give = hands.hand_over
    there = []

    async def hand_over(pid, binds, hostname, document, *, container):
        there.append(names(warm))
        if how == "killed":
            warm.client.kill(container)
        await give(pid, binds, hostname, document, container=container)
        raise HandsSilent("the answer was lost")

    if how == "gone":
        warm.client.remove_container(one.id, force=True)
    else:
        monkeypatch.setattr(hands, "hand_over", hand_over)
    backend = make_backend(config, a_session(home))
    made = backend.docker

    def docker(method, *args, **kwargs):
        if method == "create_container_from_config":
            # What may be somebody's by half is gone before another is made.
            assert not [name for name in names(warm) if "alice" in name or name == one.name]
        return made(method, *args, **kwargs)

    monkeypatch.setattr(backend, "docker", docker)
    remembered = []
    backend.remember = lambda: remembered.append(backend.get_state())
    await backend.start()
    await logged(backend, "session of alice")
    assert backend.object_id != one.id
    assert not backend.get_state()["half"]
    assert [name for name in names(warm) if "alice" in name] == [backend.object_name]
    # Its name was kept before the container had it.
    assert how == "gone" or remembered[0]["container"] in there[0]
    await backend.stop(now=True)


async def test_a_start_that_is_given_up_in_the_midst_leaves_nothing(warm, make_backend, home, monkeypatch):
    config = settings_for(warm, warm_most=1)
    for after in (0.0, 0.05):
        (one,) = await one_waits(config)
        backend = make_backend(config, a_session(home))
        task = asyncio.create_task(backend.start())
        await until(lambda backend=backend: backend._half or backend.object_name)
        await asyncio.sleep(after)  # into the rename, into the hand-over
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await backend.stop(now=True)
        assert backend.get_state() == {} and one.id not in {found["Id"] for found in warm.containers(HUB)}
        assert Fleet.of(config).placement.taken == {}


async def test_one_that_dies_while_it_waits_is_replaced(warm, make_backend):
    config = settings_for(warm, idle_watch_interval=60)
    (one,) = await one_waits(config)
    pool = Fleet.of(config).warm.pool
    warm.client.kill(one.id)
    # By the kernel's word: nobody looks for a minute.
    await until(lambda: one.name not in pool.waiting)
    Fleet.of(config).warm._pauses.clear()
    Fleet.of(config).watches["podman"].look_soon()
    (other,) = await one_waits(config)
    assert other.id != one.id
    assert waiting_names(warm) == {other.name}


async def test_a_changed_image_replaces_what_waits_and_is_had_at_once(warm, make_backend, home):
    config = settings_for(warm, idle_watch_interval=1)
    (one,) = await one_waits(config)
    client, (repository, _, tag) = warm.client, warm_support.IMAGE.rpartition(":")
    old = client.inspect_image(warm_support.IMAGE)["Id"]
    made = client.create_container_from_config({"Image": warm_support.IMAGE, "Cmd": ["true"]})
    client.commit(made["Id"], repository, tag, changes=["LABEL newer=yes"])
    client.remove_container(made["Id"])
    try:
        backend = make_backend(config, a_session(home))
        await backend.start()
        new = client.inspect_image(warm_support.IMAGE)["Id"]
        assert client.inspect_container(backend.object_name)["Image"].endswith(new.removeprefix("sha256:"))
        pool = Fleet.of(config).warm.pool
        await until(lambda: {found.image.digest for found in pool.waiting.values()} == {f"sha256:{new}"}
                    or {found.image.digest for found in pool.waiting.values()} == {new}, 20)  # fmt: skip
        await until(lambda: one.name not in names(warm))
        await backend.stop(now=True)
    finally:
        client.tag(old, repository, tag)


async def test_a_plan_that_needs_the_room_has_it(warm, make_backend, home):
    config = settings_for(warm, node={"memory": "1G"})
    lately = [Start("general", "small", datetime.now(UTC))] * 2
    ones = await one_waits(config, 2, starts=lately)
    fleet = Fleet.of(config)
    (state,) = fleet.states()
    assert (state.waiting, state.free_memory, state.sessions) == (2, 1024 * MB, ())
    large = make_backend(config, plan("bob/large", memory=(1024 - 40) * MB))
    await large.start()
    assert 0 < fleet.states()[0].waiting < 2
    whole = make_backend(config, plan("bob/whole", memory=40 * MB))
    await whole.start()
    await until(lambda: waiting_names(warm) == set())
    # The engine lists it no more a moment before the hub has its answer.
    await until(lambda: fleet.placement.spare("podman") == 0)
    with pytest.raises(StartRefused, match="memory"):
        await make_backend(config, plan("bob/more", memory=MB)).start()
    # When there is room again, they wait again.
    await large.stop(now=True)
    assert not {one.id for one in ones} & {one.id for one in await one_waits(config, 2)}
    await whole.stop(now=True)


async def test_a_closed_node_has_nobody_wait_and_an_operator_turns_it_off(warm, make_backend):
    config = settings_for(warm)
    await one_waits(config)
    fleet = Fleet.of(config)
    closed = {"podman": "Maintenance"}
    ContainerBackend.drain_by(closed.get, config)
    fleet.watches["podman"].look_soon()
    await until(lambda: waiting_names(warm) == set())
    closed.clear()
    fleet.watches["podman"].look_soon()
    await one_waits(config)
    await fleet.close()
    # A hub that is told of none takes away what another left.
    off = settings_for(warm, warm_memory=0)
    await one_waits(off, 0)
    await until(lambda: waiting_names(warm) == set())


async def test_a_restarted_hub_keeps_what_waits_and_never_what_was_used(warm, make_backend, home):
    config = settings_for(warm, warm_most=1)
    (used,) = await one_waits(config)
    session = make_backend(config, a_session(home))
    await session.start()
    lost = make_backend(config, a_session(home, "alice/lost"))
    await one_waits(config)
    await lost.start()
    (waiting,) = await one_waits(config)
    # Renamed and not yet anybody's, as a hub that is killed leaves it; and the name of one that was used.
    state, book = session.get_state(), Fleet.of(config).placement.taken[session.object_name]
    await Fleet.of(config).close()
    warm.client.rename(lost.object_name, f"visa-{HUB}-warm-00000000")
    # Two should wait: the used one would do for the second, if it were taken for one.
    config = settings_for(warm, warm_most=2)
    lately = [Start("general", "small", datetime.now(UTC))] * 2
    again = make_backend(config, state=state)
    found = {one.id for one in await one_waits(config, 2, starts=lately)}
    assert waiting.id in found and lost.object_id not in found
    fleet = Fleet.of(config)
    assert await again.poll() is None and again.status.state is State.RUNNING
    assert fleet.placement.taken[again.object_name] == book
    # A used one is no waiting one, whatever its name: it is gone.
    await until(lambda: lost.object_id not in {one["Id"] for one in warm.containers(HUB)})
    # Nor swept, as long as its session may be loaded yet.
    await fleet.close()
    bare = make_backend(config)
    await one_waits(config, 2, starts=lately)
    assert await bare.fleet.sweep(lambda: {"alice/first"}) == []
    assert await bare.fleet.sweep(lambda: {"alice/other"}) == [again.object_name]
    assert {one["Id"] for one in warm.containers(HUB)} == found


@pytest.mark.parametrize("handed", [False, True])
async def test_a_hub_killed_at_the_hand_over_has_a_whole_session_or_none(warm, make_backend, home, handed):
    config = settings_for(warm, warm_most=1)
    (one,) = await one_waits(config)
    backend = make_backend(config, a_session(home))
    states = []
    backend.remember = lambda: states.append(backend.get_state())
    if not handed:
        # Renamed is all that it came to.
        warm.client.rename(one.name, f"visa-{HUB}-alice-first-00000000")
        state = {"container": f"visa-{HUB}-alice-first-00000000", "node": "podman", "key": "alice/first"}
    else:
        await backend.start()
        state = states[0]
    await Fleet.of(config).close()
    again = make_backend(config, state=state | {"half": True})
    assert await again.poll() == (None if handed else 1)
    assert again.get_state() == (states[-1] if handed else {}) | ({"host": ""} if handed else {})
    if handed:
        assert again.status.state is State.RUNNING
        await again.stop(now=True)
    else:
        assert "restarted while this session was starting" in again.status.words
    assert one.id not in {found["Id"] for found in warm.containers(HUB)}


async def test_waiting_costs_the_engine_no_question_of_its_own(warm, make_backend, monkeypatch):
    config = settings_for(warm, idle_watch_interval=3600)
    fleet = Fleet.of(config)
    await one_waits(config)
    engine, asked, watch = fleet.engine("podman"), [], fleet.watches["podman"]
    ask = engine._ask
    monkeypatch.setattr(engine, "_ask", lambda *args: (asked.append(args), ask(*args))[1])
    for _ in range(5):
        await watch.fresh()
    # One look each, and nothing beside it; and what waits makes nobody look more often.
    assert len(asked) == 5
    assert watch._pause() == 3600


async def test_what_cannot_wait_is_removed_and_tried_ever_less_often(warm, make_backend, monkeypatch):
    # Of another image, whose `visa-session` knows no `--wait` and never says that it waits.
    monkeypatch.setattr(container, "LONGEST", 0.5)
    config = settings_for(warm)
    fleet = Fleet.of(config)
    fleet.start()
    pairs = [a_pair(image=engines.RECIPE), replace(a_pair(image="none-such"), plan="other")]
    ContainerBackend.keep_waiting(pairs, [], config)
    for pause in (10, 20):
        await until(lambda pause=pause: [told for _, told in fleet.warm._pauses.values()] == [pause], 20)
        await until(lambda: waiting_names(warm) == set())
        await fleet.look()
        assert fleet.warm.pool.working == set() and fleet.placement.waiting == {}
        fleet.warm._pauses = {key: (0.0, pause) for key in fleet.warm._pauses}
        fleet.watches["podman"].look_soon()


async def test_figures_tell_who_found_one(warm, make_backend, home):
    def figure(name, **labels):
        return REGISTRY.get_sample_value(name, {"profile": "general", "plan": "small", **labels}) or 0

    def counted():
        return [figure("visa_warm_starts_total", how=how) for how in ("waiting", "none", "failed")]

    before = counted()
    config = settings_for(warm, warm_most=1)
    (one,) = await one_waits(config)
    assert figure("visa_warm_waiting", node="podman") == 1
    assert REGISTRY.get_sample_value("visa_warm_memory_bytes", {"node": "podman"}) == one.memory
    first, second = (make_backend(config, a_session(home, f"alice/{name}")) for name in "ab")
    await first.start()
    assert figure("visa_warm_waiting", node="podman") == 0
    await second.start()
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 0]
    await asyncio.gather(first.stop(now=True), second.stop(now=True))
