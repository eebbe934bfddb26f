"""The monitor on a real cluster: one question for all, never more than it says, and silence is no news."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from slurm_asking import client_of, empty, fill, kinds

from visa_spawner.backends.slurm.clients.base import SlurmSilent
from visa_spawner.backends.slurm.job import new_mark
from visa_spawner.backends.slurm.monitor import HURRIED, MOST, REST, Monitor
from visa_spawner.backends.slurm.queue import Place

ALICE, BOB = 20001, 20002


@pytest.fixture(params=kinds())
def kind(request):
    return request.param


@asynccontextmanager
async def monitored(slurm, kind="commands", *, limit=30, **settings):
    monitor = Monitor(client_of(slurm, kind, limit=limit), "here", **settings)
    try:
        await monitor.asked_once()
        yield monitor
    finally:
        await monitor.close()


async def until(true, monitor: Monitor, seconds: float = 60) -> None:
    """Wait until something is true, look by look."""
    async with asyncio.timeout(seconds):
        while not true():
            await monitor.next_turn()


async def test_a_session_is_found_by_mark_and_owner(slurm, kind):
    mark, other = new_mark("here"), new_mark("elsewhere")
    own = slurm.submit("true", "alice", "--hold", f"--comment={mark}")
    copied = slurm.submit("true", "alice", "--hold", f"--comment={mark}")
    lied = slurm.submit("true", "bob", "--hold", f"--comment={mark}")
    elsewhere = slurm.submit("true", "bob", "--hold", f"--comment={other}")
    async with monitored(slurm, kind) as monitor:
        assert monitor.answering is True
        assert monitor.find(mark, ALICE).id == own
        assert monitor.find(mark, BOB).id == lied
        assert [job.id for job in monitor.owned_by(BOB)] == [lied]
        assert monitor.find(mark, 4711) is None
        assert monitor.find(other, BOB) is None
        assert monitor.by_mark[mark] == monitor.jobs[own]
        assert other not in monitor.by_mark
        assert {own, copied, lied, elsewhere} <= set(monitor.jobs)


async def test_the_place_in_a_real_queue(slurm, kind):
    taken = [
        slurm.submit("sleep 300", "bob", "--nodes=1", "--exclusive", f"--nodelist={node}")
        for node in ("n1", "n2")
    ]
    for number in taken:
        slurm.until(number, "RUNNING")
    mark = new_mark("here")
    ahead = slurm.submit("true", "bob", "--partition=gpu", "--array=1-5")
    own = slurm.submit("true", "alice", "--partition=gpu", f"--comment={mark}")
    slurm.submit("true", "bob", "--partition=gpu")
    slurm.submit("true", "bob", "--partition=gpu", "--hold")
    async with monitored(slurm, kind, interval=0.2) as monitor:
        await until(
            lambda: (
                monitor.find(mark, ALICE).reason in ("Priority", "Resources")
                and monitor.queue.place(monitor.jobs[own])
            ),
            monitor,
        )
        place = monitor.queue.place(monitor.find(mark, ALICE))
        # As the controller counts them: by what it gives each of them as its priority.
        order = [
            line.split() for line in slurm.run("squeue", "-h", "-t", "PD", "-o", "%Q %A %r").splitlines()
        ]
        waits = sorted((-int(priority), int(number)) for priority, number, _ in order if priority != "0")
        before = [number for _, number in waits].index(own)
        tasks = 4 if ahead in [number for _, number in waits[:before]] else 0
        assert place == Place(before + 1 + tasks, len(waits) + 4)
    slurm.run("scancel", str(ahead))


@pytest.mark.parametrize("sessions", [10, 1000])
async def test_what_is_asked_does_not_grow_with_the_sessions(slurm, kind, sessions):
    marks = [new_mark("here") for _ in range(4)]
    for mark in marks:
        fill(slurm, sessions // 4, mark)
    try:
        async with monitored(slurm, kind, interval=0.5) as monitor:
            assert len([job for job in monitor.jobs.values() if job.mark in marks]) == sessions // 4 * 4
            begun, asked = time.monotonic(), monitor.asked["jobs"]
            # As many askers as sessions, who all wait for the same look.
            await asyncio.gather(*(monitor.next_turn() for _ in range(sessions)))
            await asyncio.gather(*(monitor.fresh() for _ in range(sessions)))
            await asyncio.sleep(1.2)
            most = (time.monotonic() - begun) / 0.5 + 3
            assert 2 <= monitor.asked["jobs"] - asked <= most
            assert monitor.asked == {"jobs": monitor.asked["jobs"], "nodes": 0, "accounting": 0}
    finally:
        empty(slurm)


async def test_an_idle_hub_asks_once_a_minute(slurm, kind):
    slurm.submit("sleep 300", "bob", f"--comment={new_mark('elsewhere')}")
    async with monitored(slurm, kind) as monitor:
        assert monitor.pause() == 60
        assert 55 < (monitor.next_look - datetime.now(UTC)).total_seconds() <= 60
        await asyncio.sleep(2)
        assert monitor.asked["jobs"] == 1


async def test_an_idle_hub_keeps_to_its_interval(slurm):
    async with monitored(slurm, idle_interval=1.0) as monitor:
        began = time.monotonic()
        for _ in range(3):
            await monitor.next_turn()
        assert time.monotonic() - began > 2.5


async def test_it_looks_often_while_somebody_waits(slurm, kind):
    async with monitored(slurm, kind) as monitor:
        with monitor.hurried():
            began = time.monotonic()
            for _ in range(4):
                await monitor.next_turn()
            took = time.monotonic() - began
            # As often as its rest after each answer allows on a busy machine.
            assert 3 * HURRIED * 0.9 < took < 4 * max(HURRIED, 4 * REST * monitor.took) + 5
        asked = monitor.asked["jobs"]
        await monitor.next_turn() if monitor.pause() < 1 else await asyncio.sleep(1.5)
        assert monitor.asked["jobs"] <= asked + 1, "nobody waits any more"


async def test_a_job_of_this_hub_or_a_claim_keeps_it_awake(slurm):
    claims = []
    async with monitored(slurm, busy=lambda: bool(claims), interval=5) as monitor:
        assert monitor.pause() == 60
        claims.append("one")
        assert monitor.pause() == pytest.approx(5, abs=1)
        claims.clear()
        slurm.submit("true", "alice", "--hold", f"--comment={new_mark('here')}")
        await monitor.fresh()
        assert monitor.pause() == pytest.approx(5, abs=1)
    slurm.run("scancel", "--user=alice")


async def test_silence_changes_nothing_that_was_seen(slurm, kind, caplog):
    caplog.set_level(logging.INFO)
    mark = new_mark("here")
    number = slurm.submit("sleep 300", "alice", f"--comment={mark}")
    slurm.until(number, "RUNNING")
    told = []
    async with monitored(
        slurm, kind, limit=2, interval=0.3, changed=lambda monitor: told.append(monitor.answering)
    ) as monitor:
        before, as_of, since = monitor.find(mark, ALICE), monitor.as_of, monitor.since
        with slurm.silent("controller"):
            await until(lambda: monitor.answering is False, monitor)
            assert monitor.since > since
            assert monitor.find(mark, ALICE) == before
            assert monitor.jobs and monitor.by_mark
            as_of = monitor.as_of
            await monitor.fresh()
            assert (monitor.answering, monitor.as_of) == (False, as_of)
            assert REGISTRY.get_sample_value("visa_slurm_answering") == 0
        await until(lambda: monitor.answering is True, monitor)
        assert monitor.as_of > as_of
        assert monitor.find(mark, ALICE).state == "RUNNING"
    assert told[0] is True and False in told and told[-1] is True
    words = [record.getMessage() for record in caplog.records if record.name.endswith("monitor")]
    assert sum("does not answer" in line for line in words) == 1, "told once, not at every look"
    assert sum("Slurm answers" in line for line in words) == 2
    assert "1 of them of this hub and not ended" in words[-1]


async def test_a_silent_controller_is_asked_less_and_less(slurm):
    async with monitored(slurm, limit=1, interval=0.25) as monitor:
        slurm.submit("true", "alice", "--hold", f"--comment={new_mark('here')}")
        with slurm.silent("controller"):
            pauses = []
            with monitor.hurried():
                while len(pauses) < 4:
                    await monitor.next_turn()
                    if monitor.answering is False:
                        pauses.append(monitor.pause())
            assert pauses == [0.25, 0.5, 1.0, 2.0]
            # Whoever asks now is heard soon, and not at once.
            began = time.monotonic()
            await monitor.fresh()
            assert time.monotonic() - began >= 0.25 + 1 - 0.1
        monitor._silences = 50
        assert monitor.pause() == MOST
        await monitor.fresh()
        await until(lambda: monitor.answering is True, monitor)
    slurm.run("scancel", "--user=alice")


async def test_a_slow_controller_gets_ten_times_as_long_to_rest(slurm, caplog):
    caplog.set_level(logging.INFO)
    async with monitored(slurm, interval=0.2, idle_interval=0.2) as monitor:
        controller = slurm.process_of("controller")
        controller.suspend()
        try:
            # The question has to be under way: on a busy machine the last one earned a rest of a second.
            looked, asked = asyncio.create_task(monitor.fresh()), monitor.asked["jobs"]
            async with asyncio.timeout(60):
                while True:
                    if monitor.asked["jobs"] > asked:
                        break
                    await asyncio.sleep(0.02)
            await asyncio.sleep(2.5)
        finally:
            controller.resume()
        await looked
        assert monitor.answering is True
        assert monitor.took > 2, "an answer that was waited for"
        assert monitor.pause() >= REST * monitor.took
        asked = monitor.asked["jobs"]
        monitor.look_soon()
        with monitor.hurried():
            await asyncio.sleep(2)
        assert monitor.asked["jobs"] == asked, "neither haste nor a wish shortens the rest"
    assert any("is asked every" in record.getMessage() for record in caplog.records)


async def test_nodes_are_asked_for_once_by_all_who_look(slurm, kind):
    async with monitored(slurm, kind, nodes_interval=60) as monitor:
        assert monitor.asked["nodes"] == 0, "nobody looks"
        answers = await asyncio.gather(*(monitor.nodes() for _ in range(50)))
        assert {node.name for node in answers[0]} == {"n1", "n2", "n3", "n4"}
        assert all(answer is answers[0] for answer in answers)
        await monitor.nodes()
        assert monitor.asked["nodes"] == 1


async def test_nodes_are_as_old_as_they_may_be(slurm):
    async with monitored(slurm, nodes_interval=0.3) as monitor:
        await monitor.nodes()
        await asyncio.sleep(max(0.4, REST * 0.3))
        await monitor.nodes()
        assert monitor.asked["nodes"] == 2


async def test_a_silent_controller_is_not_asked_for_nodes(slurm):
    async with monitored(slurm, limit=1, interval=30) as monitor:
        with slurm.silent("controller"):
            with pytest.raises(SlurmSilent):
                await monitor.nodes()
            with pytest.raises(SlurmSilent):
                await monitor.nodes()
            assert monitor.asked["nodes"] == 1
            await monitor.fresh()
            for _ in range(5):
                with pytest.raises(SlurmSilent):
                    await monitor.nodes()
            assert monitor.asked["nodes"] == 1


async def test_accounting_is_asked_once_for_each_job(slurm, kind):
    number = slurm.submit("exit 3")
    slurm.until(number, "FAILED")
    async with monitored(slurm, kind) as monitor:
        async with asyncio.timeout(60):
            while True:
                job = await monitor.forgotten(number)
                if job is not None and job.ended:
                    break
                await asyncio.sleep(0.2)
        assert job.exit_code == 3
        asked = monitor.asked["accounting"]
        assert await asyncio.gather(*(monitor.forgotten(number) for _ in range(20))) == [job] * 20
        assert monitor.asked["accounting"] == asked
        assert await monitor.forgotten(4_000_000) is None


async def test_silent_accounting_is_no_flood(slurm):
    async with monitored(slurm, limit=1) as monitor:
        with slurm.silent("accounting"):
            answers = await asyncio.gather(
                *(monitor.forgotten(number) for number in range(1, 30)), return_exceptions=True
            )
            assert all(isinstance(answer, SlurmSilent) for answer in answers)
            assert monitor.asked["accounting"] == 1
            assert monitor.answering is True


async def test_a_fault_in_what_follows_does_not_end_it(slurm):
    def broken(monitor):
        raise RuntimeError("a session's fault")

    async with monitored(slurm, idle_interval=0.2, changed=broken) as monitor:
        for _ in range(3):
            await monitor.next_turn()
        assert monitor.answering is True


async def test_a_defect_in_asking_is_silence(slurm, monkeypatch):
    async with monitored(slurm, interval=0.2) as monitor:
        seen = dict(monitor.jobs)
        with monkeypatch.context() as patched:
            patched.setattr(monitor.client, "_separators", None)
            await monitor.fresh()
            assert monitor.answering is False
            assert monitor.jobs == seen
        await monitor.fresh()
        assert monitor.answering is True


async def test_what_the_operator_sees(slurm, kind):
    slurm.submit("true", "alice", "--hold", f"--comment={new_mark('here')}")
    before = REGISTRY.get_sample_value("visa_slurm_question_seconds_count", {"asked": "jobs"}) or 0
    async with monitored(slurm, kind) as monitor:
        value = REGISTRY.get_sample_value
        assert value("visa_slurm_answering") == 1
        assert value("visa_slurm_own_jobs") == 1
        assert value("visa_slurm_all_jobs") == len(monitor.jobs)
        assert value("visa_slurm_last_answer_timestamp_seconds") == monitor.answered.timestamp()
        assert value("visa_slurm_next_look_timestamp_seconds") == monitor.next_look.timestamp()
        assert value("visa_slurm_question_seconds_count", {"asked": "jobs"}) == before + 1
    slurm.run("scancel", "--user=alice")
