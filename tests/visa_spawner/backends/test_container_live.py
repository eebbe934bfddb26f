"""One session in one container, on real engines: what it gets, what it cannot get, how it ends."""

import asyncio
import os
from pathlib import Path

import pytest
from container_support import MB, WAIT_FOR_GO, go, logged, node, plan, settings, until
from engines import HUB

from visa_session.contract import EXIT_GPU_MISSING, INFO_VARIABLE, SessionInfo
from visa_spawner.backends.fleet import Fleet
from visa_spawner.session import Bind, StartRefused, State


async def _all(iterator):
    return [item async for item in iterator]


async def started(make_backend, engine, session, **fields):
    backend = make_backend(settings([node(engine, **fields)]), session)
    await backend.start()
    return backend


async def test_a_session_starts_is_seen_and_leaves_nothing(engine, make_backend):
    backend = make_backend(settings([node(engine)]), plan(command=("visa-session",)))
    remembered = []
    backend.remember = lambda: remembered.append(backend.get_state())
    said = asyncio.create_task(_all(backend.events()))
    await asyncio.sleep(0)
    assert (await backend.start())[1] == 8888
    assert [step.words for step in await said] == [
        "Looking for room",
        f"Creating the container on {engine.kind}",
        "Starting",
    ]
    assert await backend.poll() is None
    assert backend.status.state is State.RUNNING
    assert await backend.address() is None
    backend.reported_port = 8888
    host, _, port = (await backend.address()).removeprefix("http://").partition(":")
    await logged(backend, "session of alice")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"hello" in await reader.read()
    writer.close()
    # Its name was known before the engine was asked for anything.
    assert remembered[0]["container"] == backend.object_name
    assert not remembered[0]["host"]
    assert len(engine.containers(HUB)) == 1
    await backend.stop()
    await backend.stop()
    assert engine.containers(HUB) == []
    assert await backend.poll() == 0
    assert backend.status.state is State.STOPPED
    assert Fleet.of(backend.config).placement.taken == {}


async def test_a_session_is_its_person_and_nothing_more(engine, make_backend, tmp_path):
    raw, processed = tmp_path / "raw", tmp_path / "processed"
    raw.mkdir()
    processed.mkdir()
    os.chown(processed, 5001, 6001)
    script = """
    id; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; env | sort; hostname
    readlink /experiments/a1/raw; touch /data/processed/mine && echo wrote; touch /data/raw/x; touch /etc/x
    echo x >> /etc/passwd; cat /proc/1/comm; df -m /tmp | tail -1; df -m /dev/shm | tail -1; ulimit -n
    find / -xdev -type d -perm -0002 2>/dev/null | sed 's/^/open: /'
    cat /proc/self/mountinfo; echo done; sleep 100
    """
    session = plan(
        command=("sh", "-c", script),
        binds=[Bind(str(raw), "/data/raw", True), Bind(str(processed), "/data/processed", False)],
        short_ways={"/experiments/a1/raw": "/data/raw"},
        environment={"GREETING": "a b=c\td'\"$(x)"},
    )
    backend = await started(make_backend, engine, session)
    text = "\n".join(await logged(backend, "done"))
    assert "uid=5001(alice) gid=5001(alice) groups=5001(alice),6001(g6001),6002(g6002)" in text
    for line in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{line}:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
    assert "Seccomp:\t2" in text
    assert "GREETING=a b=c\td'\"$(x)" in text
    assert "\nfirst\n" in text
    assert "\n/data/raw\n" in text
    assert "wrote" in text
    # Nowhere on the node's own disk may anybody write: what is open stands in memory.
    places = {line.removeprefix("open: ") for line in text.splitlines() if line.startswith("open: ")}
    in_memory = {line.split()[4] for line in text.splitlines() if " - tmpfs " in line}
    assert {"/tmp", "/var/tmp"} <= places <= in_memory
    assert text.count("Read-only file system") == 1
    assert text.count("Permission denied") == 2
    assert not [
        name
        for name in os.environ
        if f"\n{name}=" in text and name not in ("HOME", "PATH", "PWD", "SHLVL", "TERM", "HOSTNAME")
    ]
    stat = (processed / "mine").stat()
    assert (stat.st_uid, stat.st_gid) == (5001, 5001)
    # Also root in the container, by the engine's own exec, writes nothing there and changes no mount.
    for command in ("touch /data/raw/x", "mount -o remount,rw /data/raw && touch /data/raw/x"):
        code, output = engine.run_inside(backend.object_name, ["sh", "-c", command], user="0")
        assert code != 0, output
    assert list(raw.iterdir()) == []


async def test_the_engine_enforces_the_plan(engine, make_backend):
    script = """
    cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null
    dd if=/dev/zero of=/tmp/big bs=1M count=200 2>&1 | grep -o 'No space left'
    i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; echo done; sleep 60
    """
    config = settings([node(engine)], process_limit=20)
    backend = make_backend(config, plan(command=("sh", "-c", script), cpus=0.5))
    await backend.start()
    await until(lambda: any("Cannot fork" in line or "can't fork" in line for line in _lines(engine)))
    assert _lines(engine)[0].startswith("50000")
    assert "No space left" in _lines(engine)
    await backend.stop(now=True)


def _lines(engine):
    (container,) = engine.containers(HUB)
    return engine.client.logs(container["Id"]).decode().splitlines()


async def test_taking_more_memory_than_the_plan_ends_it_in_words(engine, make_backend):
    backend = await started(
        make_backend,
        engine,
        plan(command=("sh", "-c", f"{WAIT_FOR_GO}; exec dd if=/dev/zero of=/dev/null bs=600M")),
    )
    backend.reported_port = 8888
    go(engine, backend.object_name)
    status = await asyncio.wait_for(backend.ended(), 15)
    assert status.state is State.FAILED
    assert "200 MB of memory" in status.words
    assert await backend.poll() == 137
    await until(lambda: engine.containers(HUB) == [])


async def test_a_session_that_outlives_a_program_without_memory_ends_by_itself(engine, make_backend):
    script = f"{WAIT_FOR_GO}; dd if=/dev/zero of=/dev/null bs=600M; echo outlived; exit 0"
    backend = await started(make_backend, engine, plan(command=("sh", "-c", script)))
    backend.reported_port = 8888
    go(engine, backend.object_name)
    status = await asyncio.wait_for(backend.ended(), 15)
    assert (status.state, status.words) == (State.STOPPED, "The session ended.")
    assert "outlived" in await backend.last_lines()


async def test_a_session_that_dies_at_its_start_says_so_at_once(engine, make_backend):
    backend = make_backend(
        settings([node(engine)]),
        plan(command=("sh", "-c", f"echo no gpu; {WAIT_FOR_GO}; exit {EXIT_GPU_MISSING}")),
    )
    await backend.start()
    go(engine, backend.object_name)
    before = asyncio.get_running_loop().time()
    status = await asyncio.wait_for(backend.ended(), 10)
    assert asyncio.get_running_loop().time() - before < 2.5
    assert "GPU it was promised" in status.words
    assert await backend.poll() == EXIT_GPU_MISSING
    assert await backend.last_lines() == ["no gpu"]
    assert engine.containers(HUB) == []


async def test_a_container_killed_or_removed_by_somebody_else_is_noticed(engine, make_backend):
    config = settings([node(engine)])
    killed, removed = make_backend(config, plan("alice/a")), make_backend(config, plan("alice/b"))
    await asyncio.gather(killed.start(), removed.start())
    killed.reported_port = removed.reported_port = 8888
    engine.client.kill(killed.object_name)
    engine.client.remove_container(removed.object_name, force=True)
    assert "killed on its node" in (await asyncio.wait_for(killed.ended(), 10)).words
    assert "removed on its node" in (await asyncio.wait_for(removed.ended(), 10)).words
    assert (await killed.poll(), await removed.poll()) == (137, 1)


async def test_one_that_staff_pause_says_so_until_it_goes_on(engine, make_backend):
    backend = await started(make_backend, engine, plan(command=("visa-session",)))
    backend.reported_port, looks = 8888, []
    backend.looked = lambda: looks.append(backend.status.held)
    await until(lambda: looks == [False])
    engine.client.pause(backend.object_name)
    await until(lambda: looks == [False, True])
    assert backend.status.state is State.SUSPENDED and "have paused the session" in backend.status.words
    assert not backend.may_resume and await backend.poll() is None
    state = backend.get_state()
    await backend.fleet.close()
    backend = make_backend(backend.config, state=state)
    assert await backend.poll() is None
    assert backend.status.held, "a hub that starts anew sees it too"
    engine.client.unpause(backend.object_name)
    await until(lambda: backend.status.state is State.RUNNING)
    engine.client.pause(backend.object_name)
    await until(lambda: backend.status.held)
    await backend.stop()
    assert engine.containers(HUB) == []


async def test_gpus_are_given_one_by_one_and_only_those(engine, make_backend, devices):
    gpus = {str(number): {"type": "made-up", "devices": [path]} for number, path in enumerate(devices[:2])}
    config = settings([node(engine, gpus=gpus, gpu_common=[devices[2]])])
    folder = Path(devices[0]).parent
    script = f"ls {folder}; echo $NVIDIA_VISIBLE_DEVICES; echo ${INFO_VARIABLE}; echo done; sleep 60"
    first, second, third = (
        make_backend(config, plan(f"alice/{name}", ("sh", "-c", script), gpus=1)) for name in "abc"
    )
    results = await asyncio.gather(*(one.start() for one in (first, second, third)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Exception)]
    assert [error.words for error in refused] == ["All 2 GPUs of this kind are in use."]
    assert refused[0].field == "plan"
    assert refused[0].status == 409
    inside = set()
    for backend in (first, second):
        lines = await logged(backend, "done")
        own = [line for line in lines if line in ("gpu0", "gpu1")]
        assert own[0][-1] == lines[lines.index("gpu2") + 1]
        assert len(own) == 1
        assert "gpu2" in lines
        info = SessionInfo.from_json(next(line for line in lines if line.startswith("{")))
        assert {Path(path).name for path in info.gpus} == {own[0], "gpu2"}
        inside |= set(own)
    assert inside == {"gpu0", "gpu1"}
    await first.stop(now=True)
    await third.start()


async def test_a_session_never_starts_without_the_gpu_it_asked_for(engine, make_backend, tmp_path):
    # Podman ignores Docker's request for GPUs, and Docker has no such driver here: both must refuse.
    config = settings([node(engine, gpus={"0": {}}, driver="nvidia")])
    backend = make_backend(config, plan(gpus=1))
    with pytest.raises(StartRefused) as caught:
        await backend.start()
    assert caught.value.status == 503
    assert engine.containers(HUB) == []
    assert Fleet.of(config).placement.taken == {}
    missing = settings(
        [node(engine, gpus={"0": {"devices": [str(tmp_path / "gone")]}})], idle_watch_interval=9
    )
    with pytest.raises(StartRefused):
        await make_backend(missing, plan(gpus=1)).start()
    assert engine.containers(HUB) == []


@pytest.mark.parametrize(
    ("change", "words", "field"),
    [
        ({"image": "never-built"}, "software of this profile is not installed", "profile"),
        (
            {"binds": [Bind("/nowhere/at/all", "/data/raw", True)]},
            "folder /data/raw is not there",
            "experiments",
        ),
        ({"binds": [Bind("/etc", "/proc/self", True)]}, "could not make the session", ""),
        ({"command": ("no-such-program",)}, "could not make the session", ""),
        ({"command": ("sh", "-c", "exit 73")}, "settings it does not understand", ""),
    ],
)
async def test_a_start_that_fails_leaves_nothing(engine, make_backend, change, words, field):
    backend = make_backend(settings([node(engine)]), plan(**change))
    with pytest.raises(StartRefused) as caught:
        await backend.start()
        # It may also die right after the engine called it running.
        raise StartRefused((await asyncio.wait_for(backend.ended(), 5)).words)
    assert words in caught.value.words
    assert "/nowhere" not in caught.value.words
    assert caught.value.field == field
    assert engine.containers(HUB) == []
    assert backend.get_state() == {}
    assert await backend.poll() not in (None, 0)
    assert backend.status.state is State.FAILED
    assert Fleet.of(backend.config).placement.taken == {}
    assert not Path("/nowhere").exists()


@pytest.mark.parametrize("after", [0, 0.002, 0.01, 0.03, 0.06, 0.1, 0.2])
async def test_a_start_that_is_given_up_leaves_nothing(engine, make_backend, after):
    backend = make_backend(settings([node(engine)]), plan())
    await backend.fleet.ready()
    task = asyncio.create_task(backend.start())
    await asyncio.sleep(after)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        assert backend.get_state() == {}
    await backend.stop(now=True)
    backend.clear_state()
    assert engine.containers(HUB) == []
    assert backend.fleet.placement.taken == {}


@pytest.mark.parametrize("network", ["host", "published"])
async def test_without_a_network_of_its_own_a_session_is_reached_on_the_node(engine, make_backend, network):
    command = "httpd -f -p ${JUPYTERHUB_SERVICE_URL#http://}" if network == "host" else "httpd -f -p 8888"
    script = "echo $JUPYTERHUB_SERVICE_URL; echo done; sleep 60"
    backend = await started(
        make_backend,
        engine,
        plan(command=("sh", "-c", script if network == "host" else command)),
        network=network,
    )
    backend.reported_port = 12345 if network == "host" else 8888
    address = await backend.address()
    if network == "host":
        assert address == "http://127.0.0.1:12345"
        assert "http://127.0.0.1:0/user/alice/first/" in await logged(backend, "done")
    else:
        host, _, port = address.removeprefix("http://").partition(":")
        assert int(port) != 8888
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()


async def test_what_a_program_writes_without_end_is_kept_bounded(engine, make_backend):
    script = f"yes {'a' * 60} | head -n 100000; echo done; sleep 60"
    backend = await started(make_backend, engine, plan(command=("sh", "-c", script)))
    await logged(backend, "done")
    assert len(await backend.last_lines(10)) == 10
    path = engine.client.inspect_container(backend.object_name)["LogPath"]
    assert sum(file.stat().st_size for file in Path(path).parent.glob(Path(path).name + "*")) < 3 * MB
