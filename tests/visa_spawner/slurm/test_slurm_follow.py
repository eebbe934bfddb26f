"""Which sessions hear of an answer: of a new one all, of the same again those that it may matter to."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from traitlets.config import Config

from visa_spawner.backends.slurm import cluster as clusters
from visa_spawner.backends.slurm import following, renewal
from visa_spawner.backends.slurm.backend import SlurmBackend
from visa_spawner.backends.slurm.clients.base import SlurmClient, SlurmSilent
from visa_spawner.backends.slurm.cluster import Cluster
from visa_spawner.backends.slurm.job import new_mark
from visa_spawner.backends.slurm.seen import Job
from visa_spawner.session import State

ALICE = {"username": "alice", "uid": 20001, "gid": 20001, "home": "/tmp"}


class Told(SlurmClient):
    """A controller whose every answer is this list, the very same one until a test says another."""

    def __init__(self):
        self.listed, self.silent, self.ended = [], False, None

    async def jobs(self):
        if self.silent:
            raise SlurmSilent("no answer")
        return self.listed

    async def nodes(self):
        return []

    async def ended_job(self, job_id):
        return self.ended

    async def expected_start(self, **wanted):
        return None


class Session(SlurmBackend):
    """One that counts how often it is asked, and gives new tokens as it is told."""

    asked, tokens = 0, ()

    def noticed(self):
        self.asked += 1
        super().noticed()

    def next_token(self):
        token, *self.tokens = self.tokens
        if isinstance(token, Exception):
            raise token
        return token


class Site:
    """The cluster, its sessions, and what was delivered to them."""

    def __init__(self, cluster, client):
        self.cluster, self.client, self.delivered, self.sessions = cluster, client, [], []
        cluster.launch.deliver = self._deliver

    async def _deliver(self, person, mark, token, run=None):
        self.delivered.append((token, run))

    def session(self, state="RUNNING", *, listed=True, reported_port=4711, **kept):
        """A session and its job, as a hub finds them that was started again."""
        number = len(self.sessions) + 1
        job = Job(number, 20001, new_mark("heard"), state, "Priority", "main", 1000 - number, host="n1")
        session = Session(config=self.cluster_config)
        session.reported_port, session.renew_token = reported_port, session.next_token
        session.load_state({"mark": job.mark, "job": number, "person": ALICE, "key": "alice/tooth"} | kept)
        self.sessions.append(session)
        if listed:
            self.client.listed = [*self.client.listed, job]
        return session, job

    async def look(self):
        """One look; gives how often each session was asked by it."""
        before = [session.asked for session in self.sessions]
        # At once: the monitor's pauses are not what is tried here.
        await self.cluster.monitor._look()
        await asyncio.sleep(0)
        return [session.asked - asked for session, asked in zip(self.sessions, before, strict=True)]

    def change(self, job, **changes):
        """The controller's next answer has this job otherwise; None of it: without the job."""
        others = [one for one in self.client.listed if one.id != job.id]
        self.client.listed = [*others, replace(job, **changes)] if changes else others


@pytest.fixture
async def site(slurm_daemons):
    config = Config()
    config.SlurmBackend.hub_id = "heard"
    config.SlurmBackend.slurm_conf = str(slurm_daemons.slurm_conf)
    config.SlurmBackend.interval = 60
    config.SlurmBackend.settle_seconds = 5
    cluster, client = Cluster.of(config), Told()
    cluster.reader = client
    found = Site(cluster, client)
    found.cluster_config = config
    await cluster.monitor.asked_once()
    yield found
    for session in found.sessions:
        session._renewal.close()
        cluster.forget(session.mark)
    await cluster.close()


async def test_the_same_answer_is_told_once(site):
    (_, job), _ = site.session(), site.session()
    assert await site.look() == [1, 1]
    assert await site.look() == [0, 0]
    assert await site.look() == [0, 0]
    site.change(job, reason="")
    assert await site.look() == [1, 1], "one job has changed, and places are counted among all"
    assert await site.look() == [0, 0]


async def test_times_pass_in_what_was_said(site):
    site.session()
    await site.look()
    assert await site.look() == [0]
    site.cluster._said_until -= clusters.SAID_AGAIN
    assert await site.look() == [1]


async def test_silence_and_its_end_reach_everybody(site):
    session, _ = site.session()
    await site.look()
    assert await site.look() == [0]
    changed = session._changed
    site.client.silent = True
    assert await site.look() == [1]
    assert changed.is_set() and session.status.state is State.UNKNOWN
    changed = session._changed
    site.client.silent = False
    assert await site.look() == [1], "though the list is the one from before"
    assert changed.is_set() and session.status.state is State.RUNNING


async def test_a_place_in_the_queue_is_told_when_others_leave(site):
    _, first = site.session("PENDING")
    session, job = site.session("PENDING")
    await site.look()
    said = []

    async def follow():
        async for status in session.events():
            said.append(status.words)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    assert "2nd of 2" in said[-1]
    assert await site.look() == [0, 0]
    site.change(first)
    assert job in site.client.listed
    await site.look()
    await asyncio.sleep(0)
    assert "1st of 1" in said[-1]
    task.cancel()


async def test_a_submission_that_never_arrives_is_waited_for_by_the_clock(site):
    session, _ = site.session(listed=False, job=0)
    assert await site.look() == [1]
    assert session.status.state is State.STARTING
    # As long ago as a submission can hang.
    session._asked_at -= 5
    site.cluster.monitor.since -= timedelta(seconds=6)
    assert await site.look() == [1]
    assert session.status.state is State.FAILED


async def test_a_job_that_is_missing_is_asked_after_until_its_end_is_known(site, monkeypatch):
    """Accounting may be late: for a while it has a job as running that the controller has forgotten."""
    session, job = site.session()
    await site.look()
    monkeypatch.setattr("visa_spawner.backends.slurm.accounting.PAUSE", 0)
    monkeypatch.setattr(following, "_LATER", 0.05)
    site.client.ended = job
    site.change(job)
    await site.look()
    await session._inquiry
    assert await session.poll() is None
    site.client.ended = replace(job, state="TIMEOUT")
    await asyncio.sleep(0.06)
    await site.look()
    assert "used all of its time" in (await asyncio.wait_for(session.ended(), 5)).words


async def test_an_inquiry_that_breaks_is_made_again(site, monkeypatch):
    session, job = site.session()
    await site.look()
    site.change(job)
    site.client.ended = "no job at all"
    await site.look()
    with pytest.raises(AttributeError):
        await session._inquiry
    site.client.ended = replace(job, state="TIMEOUT")
    await site.look()
    assert "used all of its time" in (await asyncio.wait_for(session.ended(), 5)).words


@pytest.mark.parametrize("failure", ["", RuntimeError("the database is locked")])
async def test_a_token_that_could_not_be_made_is_made_at_the_next_look(site, failure):
    session, job = site.session()
    await site.look()
    session.tokens = [failure, "the-new-one"]
    site.change(job, state="PENDING", restarts=1)
    assert await site.look() == [1]
    assert site.delivered == []
    assert await site.look() == [1], "the same answer, and the session still has no token"
    assert site.delivered == [("the-new-one", 1)]
    assert (session._renewal.restarts, session._renewal.delivered) == (1, True)
    await site.look()
    assert await site.look() == [0]


async def test_a_token_that_a_killed_hub_delivered_is_given_up_by_the_clock(site):
    """It runs and has not said that it listens: only time tells that it never got its token."""
    session, _ = site.session(reported_port=0, restarts=1, delivered=False)
    session.tokens = ["the-next-one"]
    for _ in range(2):
        assert await site.look() == [1]
    assert site.delivered == []
    session._renewal._since -= renewal.GRACE
    assert await site.look() == [1]
    assert site.delivered == [("the-next-one", 1)]


async def test_a_stop_that_is_wanted_ends_with_the_job(site):
    session, job = site.session()
    await site.look()
    cancelled = []

    async def cancel(person, job_id):
        cancelled.append(job_id)

    async def forget(person, mark):
        pass

    site.cluster.launch.cancel, site.cluster.launch.forget = cancel, forget
    stopping = asyncio.create_task(session.stop())
    for _ in range(2):
        await site.look()
    assert cancelled == [job.id] and not stopping.done()
    # Gone from the list, or there as cancelled: either is the end.
    site.change(job)
    await site.look()
    await asyncio.wait_for(stopping, 5)
    assert session.status.state is State.STOPPED
