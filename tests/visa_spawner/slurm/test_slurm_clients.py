"""The ways to ask Slurm, on a real cluster: what they tell, and that silence is told as nothing else."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slurm_asking import client_of, empty, fill, kinds, saved
from slurm_cluster import wait
from traitlets import TraitError

from visa_spawner.backends.slurm.clients import native, open_client
from visa_spawner.backends.slurm.clients.base import SlurmSilent
from visa_spawner.backends.slurm.job import is_of, new_mark
from visa_spawner.backends.slurm.settings import SlurmSettings

ALICE, BOB = 20001, 20002
GIB = 1 << 30


@pytest.fixture(params=kinds())
async def client(slurm, request):
    client = client_of(slurm, request.param)
    yield client
    await client.close()


@pytest.fixture(params=kinds())
async def hasty(slurm, request):
    """A client that waits for two seconds and no longer."""
    client = client_of(slurm, request.param, limit=2)
    yield client
    await client.close()


async def job_of(client, number: int):
    return next(job for job in await client.jobs() if job.id == number)


async def test_a_running_job_is_told_whole(slurm, client):
    mark = new_mark("here")
    number = slurm.submit("sleep 300", "alice", f"--comment={mark}", "--time=90", "--partition=gpu")
    said = slurm.until(number, "RUNNING")
    job = await job_of(client, number)
    assert (job.uid, job.mark, job.state, job.reason) == (ALICE, mark, "RUNNING", "")
    assert (job.partition, job.host, job.tasks) == ("gpu", said["BatchHost"], 1)
    assert (job.limit, job.restarts) == (timedelta(minutes=90), 0)
    assert job.end - job.start == job.limit
    assert job.submitted.tzinfo is UTC
    assert timedelta(0) <= datetime.now(UTC) - job.submitted < timedelta(minutes=5)
    assert job.priority == int(said["Priority"])


async def test_waiting_held_and_put_back(slurm, client):
    mark = new_mark("here")
    held = slurm.submit("true", "alice", "--hold", f"--comment={mark}")
    tasks = slurm.submit("true", "bob", "--hold", "--array=1-40")
    later = slurm.submit("true", "bob", "--begin=now+2hours")
    runs = slurm.submit("sleep 300", "alice", "--requeue")
    slurm.until(runs, "RUNNING")
    slurm.run("scontrol", "requeue", str(runs))
    wait(lambda: slurm.job(runs)["Restarts"] == "1", 60, lambda: str(slurm.job(runs)))
    jobs = {job.id: job for job in await client.jobs()}
    assert (jobs[held].state, jobs[held].reason, jobs[held].priority) == ("PENDING", "JobHeldUser", 0)
    assert (jobs[held].start, jobs[held].end, jobs[held].host) == (None, None, "")
    assert (jobs[tasks].tasks, jobs[tasks].uid) == (40, BOB)
    assert timedelta(minutes=110) < jobs[later].start - datetime.now(UTC) < timedelta(minutes=121)
    assert jobs[runs].restarts == 1
    assert not jobs[runs].ended
    slurm.run("scancel", str(tasks))


async def test_how_jobs_end(slurm, client):
    failed = slurm.submit("exit 75")
    killed = slurm.submit("kill -9 $$")
    done = slurm.submit("true")
    gone = slurm.submit("sleep 300")
    slurm.until(gone, "RUNNING")
    slurm.run("scancel", str(gone))
    for number, state in ((failed, "FAILED"), (killed, "FAILED"), (done, "COMPLETED"), (gone, "CANCELLED")):
        slurm.until(number, state)
    jobs = {job.id: job for job in await client.jobs()}
    assert (jobs[failed].state, jobs[failed].exit_code, jobs[failed].signal) == ("FAILED", 75, 0)
    assert (jobs[killed].state, jobs[killed].exit_code, jobs[killed].signal) == ("FAILED", 0, 9)
    assert (jobs[done].state, jobs[done].exit_code) == ("COMPLETED", 0)
    assert jobs[gone].state == "CANCELLED"
    assert all(jobs[number].ended and jobs[number].end for number in (failed, killed, done, gone))


comments = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)


@given(texts=st.lists(comments, min_size=1, max_size=4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_people_write_no_job_is_another(slurm, client, texts):
    mark = new_mark("here")
    texts = [*texts, f"{mark}\n1 2 3", f"\n{mark}", f"{mark}0", mark, "a|b,c\t\x1b[2J\r\n<>" * 20]
    numbers = [slurm.submit("true", "alice", "--hold", f"--comment={text}") for text in texts]
    jobs = {job.id: job for job in await client.jobs()}
    try:
        assert set(numbers) <= set(jobs)
        assert {jobs[number].uid for number in numbers} == {ALICE}
        assert [number for number in numbers if is_of(jobs[number].mark, "here")] == [
            number for number, text in zip(numbers, texts, strict=True) if text.strip(" ") == mark
        ]
        told = slurm.run("squeue", "-h", "-t", "all", "-o", "%A").split()
        assert sorted(jobs) == sorted({int(number) for number in told}), "no job more, none less"
    finally:
        slurm.run("scancel", *map(str, numbers))


async def test_bytes_that_are_no_text(slurm, client):
    mark = new_mark("here")
    number = slurm.submit("true", "alice", "--hold")
    slurm.run("scontrol", "update", f"job={number}", b"comment=\xff\xfe" + mark.encode())
    job = await job_of(client, number)
    assert (job.uid, job.state) == (ALICE, "PENDING")
    assert not is_of(job.mark, "here")


async def test_steps_and_parts_of_a_heterogeneous_job_are_no_jobs_of_a_session(slurm, client):
    mark = new_mark("here")
    account = slurm.account("alice")
    words = slurm.run(
        *("sbatch", "--parsable", f"--uid={account.uid}", f"--gid={account.gid}", "--export=NONE", "--hold"),
        *("--chdir=/", "--output=/dev/null", f"--comment={mark}", "-n1", "--wrap=true", ":", "-n1"),
    )
    number = int(words.strip())
    stepped = slurm.submit("srun sleep 300", "bob")
    slurm.until(stepped, "RUNNING")
    jobs = [job for job in await client.jobs() if job.uid in (ALICE, BOB) and not job.ended]
    slurm.run("scancel", str(number))
    assert {job.id for job in jobs} == {number, number + 1, stepped}
    assert next(job for job in jobs if job.id == number).mark == mark


async def test_a_thousand_jobs_are_one_quick_question(slurm, client):
    mark = new_mark("here")
    fill(slurm, 1000, mark)
    try:
        await client.jobs()
        began = time.perf_counter()
        jobs = await client.jobs()
        took = time.perf_counter() - began
        assert len([job for job in jobs if job.mark == mark]) == 1000
        assert len({job.id for job in jobs}) == len(jobs)
        # Hundreds of times what it takes on a quiet machine.
        assert took < 3
    finally:
        empty(slurm)


@pytest.mark.parametrize("daemon", ["controller", "munge"])
async def test_silence_is_told_within_the_limit(slurm, hasty, daemon):
    number = slurm.submit("true", "alice", "--hold")
    await hasty.jobs()
    with slurm.silent(daemon):
        for question in (hasty.jobs(), hasty.nodes()):
            began = time.monotonic()
            with pytest.raises(SlurmSilent):
                await question
            assert time.monotonic() - began < 10
    assert (await job_of(hasty, number)).state == "PENDING"


@pytest.mark.parametrize("daemon", ["controller", "munge"])
async def test_a_dead_daemon_is_silence(slurm, hasty, daemon):
    number = slurm.submit("true", "alice", "--hold")
    saved(slurm)
    with slurm.down(daemon):
        with pytest.raises(SlurmSilent):
            await hasty.jobs()
        with pytest.raises(SlurmSilent):
            await hasty.expected_start(
                partition="", cpus=1, memory=GIB, gpus=0, gpu_type="", nodes=1, minutes=5
            )
    assert (await job_of(hasty, number)).state == "PENDING"


async def test_a_silent_accounting_daemon_hides_no_job(slurm, hasty):
    number = slurm.submit("true", "alice", "--hold")
    with slurm.silent("accounting"):
        with pytest.raises(SlurmSilent):
            await hasty.ended_job(number)
        assert (await job_of(hasty, number)).state == "PENDING"


async def test_accounting_knows_how_and_by_whom(slurm, client):
    own, others, failed = (slurm.submit(script) for script in ("sleep 300", "sleep 300", "exit 3"))
    for number in (own, others):
        slurm.until(number, "RUNNING")
    alice = slurm.account("alice")
    slurm.run("scancel", str(own), user=alice.uid, group=alice.gid, extra_groups=[])
    slurm.run("scancel", str(others))
    wanted = {own: ("CANCELLED", ALICE, 0), others: ("CANCELLED", 0, 0), failed: ("FAILED", None, 3)}
    for number, expected in wanted.items():
        slurm.until(number, expected[0])
        async with asyncio.timeout(60):
            while True:
                job = await client.ended_job(number)
                if job is not None and job.ended:
                    break
                await asyncio.sleep(0.2)
        assert (job.state, job.cancelled_by, job.exit_code) == expected
        # Of a job that ends as soon as it begins accounting never learns partition and limit.
        assert (job.id, job.uid) == (number, ALICE)
        assert job.host and job.end


async def test_accounting_does_not_know_every_job(client):
    assert await client.ended_job(4_000_000) is None


async def test_nodes_tell_what_is_free(slurm, client):
    number = slurm.submit("sleep 300", "alice", "--gres=gpu:a100:1", "--cpus-per-task=2", "--mem=1024")
    slurm.until(number, "RUNNING")
    slurm.drain("n3", "new fans")
    try:
        nodes = {node.name: node for node in await client.nodes()}
    finally:
        slurm.resume("n3")
    assert sorted(nodes) == ["n1", "n2", "n3", "n4"]
    taken, other, drained = nodes["n1"], nodes["n2"], nodes["n3"]
    cluster = slurm.layout
    assert (taken.cpus, taken.free_cpus) == (cluster.cpus, cluster.cpus - 2)
    assert (taken.memory, taken.free_memory) == (cluster.memory_mb << 20, (cluster.memory_mb - 1024) << 20)
    assert (taken.gpus, taken.free_gpus) == ({"a100": 2}, {"a100": 1})
    assert (other.gpus, other.free_gpus) == ({"l40s": 2}, {"l40s": 2})
    assert taken.partitions == {"main", "gpu", "spare"}
    assert {node.default_partition for node in nodes.values()} == {"main"}
    assert (drained.open, drained.free_cpus, drained.reason) == (False, 0, "new fans")
    assert taken.address == slurm.run("scontrol", "-o", "show", "node", "n1").split("NodeAddr=")[1].split()[0]


async def test_a_closed_partition_is_told(slurm, client):
    slurm.run("scontrol", "update", "partition=gpu", "state=down")
    try:
        nodes = await client.nodes()
    finally:
        slurm.run("scontrol", "update", "partition=gpu", "state=up")
    assert {node.name: node.closed_partitions for node in nodes} == {
        **dict.fromkeys(("n1", "n2"), frozenset(["gpu"])),
        **dict.fromkeys(("n3", "n4"), frozenset()),
    }


async def test_the_expected_start(slurm, client):
    wanted = {"partition": "gpu", "cpus": 1, "memory": GIB, "gpus": 2, "gpu_type": "a100"}
    wanted |= {"nodes": 1, "minutes": 30}
    now = await client.expected_start(**wanted)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=2)
    number = slurm.submit("sleep 300", "alice", "--gres=gpu:a100:1", "--time=45")
    slurm.until(number, "RUNNING")
    later = await client.expected_start(**wanted)
    assert timedelta(minutes=40) < later - datetime.now(UTC) < timedelta(minutes=50)
    assert await client.expected_start(**wanted | {"gpu_type": "h100"}) is None
    assert await client.expected_start(**wanted | {"partition": "nowhere"}) is None
    assert await client.expected_start(**wanted | {"nodes": 5}) is None
    # Those that wait for the same partition come first; how exactly is the controller's own affair.
    number = slurm.submit("true", "bob", "--partition=gpu", "--gres=gpu:a100:2", "--time=60")
    await asyncio.to_thread(until_planned, slurm, number)
    assert await client.expected_start(**wanted) > later + timedelta(minutes=15)


def until_planned(slurm, number):
    """Wait until the controller has found a time for a job that waits."""
    wait(lambda: slurm.job(number)["StartTime"] != "Unknown", 30, lambda: f"no time: {slurm.job(number)}")


async def test_a_question_that_nobody_waits_for_leaves_nothing_behind(slurm, hasty):
    with slurm.silent("controller"):
        task = asyncio.create_task(hasty.nodes())
        me = psutil.Process()
        async with asyncio.timeout(30):
            while True:
                if [child for child in me.children() if child.name() == "sinfo"]:
                    break
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not [child for child in me.children() if child.name() == "sinfo"]


def test_the_client_is_the_one_that_was_asked_for(slurm):
    assert client_of(slurm, "commands").name.startswith("commands 22.05.")
    best = "pyslurm" if "pyslurm" in kinds() else "commands"
    assert client_of(slurm, "auto").name.startswith(best)
    if best == "commands":
        with pytest.raises(TraitError, match="pyslurm.*cannot be used.*docs/operators/slurm.md"):
            client_of(slurm, "pyslurm")
    else:
        assert client_of(slurm, "pyslurm").name.startswith("pyslurm 22.5.")


def test_commands_that_are_not_there_are_named(slurm, tmp_path):
    with pytest.raises(TraitError, match="SlurmBackend.commands_dir"):
        client_of(slurm, "auto", commands_dir=str(tmp_path))
    with pytest.raises(TraitError, match="nowhere.conf"):
        open_client(SlurmSettings(slurm_conf=str(tmp_path / "nowhere.conf"), query_timeout=2))


if "pyslurm" in kinds():

    async def test_a_helper_that_is_killed_is_replaced(slurm):
        client = client_of(slurm, "pyslurm")
        number = slurm.submit("true", "alice", "--hold")
        await client.jobs()
        helper = psutil.Process(client._helper.pid)
        helper.kill()
        with pytest.raises(SlurmSilent):
            await client.jobs()
        assert (await job_of(client, number)).state == "PENDING"
        assert client._helper.pid != helper.pid
        last = psutil.Process(client._helper.pid)
        await client.close()
        assert not last.is_running()

    async def test_a_helper_ends_with_its_hub(slurm):
        client = client_of(slurm, "pyslurm")
        await client.jobs()
        helper = psutil.Process(client._helper.pid)
        # As when the hub is killed: nothing but the pipe's end tells the helper.
        client._helper.stdin.close()
        await asyncio.to_thread(helper.wait, 30)

    def test_pyslurm_for_another_slurm_is_refused(slurm):
        with pytest.raises(native.Unfit, match="another Slurm than 23.02.1"):
            native.probe(str(slurm.slurm_conf), "23.02.1")
        assert native.probe(str(slurm.slurm_conf), "22.05.11").startswith("22.5.")

    def test_pyslurm_without_a_configuration_is_refused_and_ends_nothing(slurm, tmp_path):
        with pytest.raises(native.Unfit, match="nowhere.conf cannot be read"):
            native.probe(str(tmp_path / "nowhere.conf"), "22.05.8")
