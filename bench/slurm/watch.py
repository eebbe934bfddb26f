"""What it costs to watch sessions on a cluster: one round, in which all of them are looked at once.

Stock: batchspawner's SlurmSpawner of each session, polled as a hub polls it, with the command it has by
default. Ours: one look of the monitor, which each session's SlurmBackend follows. In both cases the CPU of
this process, of all commands it runs, and of the controller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from batchspawner import SlurmSpawner
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from sqlalchemy.orm import Session
from traitlets.config import Config

from demo.cluster.layout import Cluster
from visa_spawner.backends.slurm import SlurmBackend
from visa_spawner.backends.slurm import cluster as hub_cluster
from visa_spawner.backends.slurm.job import new_mark

from ..hub import BenchFailed
from ..rounds import Figures
from . import cluster as slurm

#: Sessions watched.
SESSIONS = (10, 1000)
#: Polls of stock that run at a time: a hub's are not one after the other either.
AT_ONCE = 4
#: Looks of ours that make one round, since one alone is over in milliseconds; the round is their mean.
LOOKS = 20
HUB = "bench"


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a round: the hub with the commands it ran, and the controller."""

    hub: float
    controller: float

    @property
    def all(self) -> float:
        return self.hub + self.controller


def _own() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


async def cost(cluster: Cluster, act: Callable[[], Awaitable[None]], times: int = 1) -> Cost:
    """What a round costs, the mean of so many."""
    pid = slurm.controller_pid(cluster)
    hub, controller = _own(), slurm.cpu_of(pid)
    for _ in range(times):
        await act()
    return Cost((_own() - hub) / times, (slurm.cpu_of(pid) - controller) / times)


def user_of(config: Config, spawner_class: type) -> tuple[User, Session]:
    """A hub's user with a database of its own, whose spawners are of that class."""
    # Neither side is to pay for what the log says.
    logging.disable(logging.INFO)
    session = orm.new_session_factory("sqlite:///:memory:")()
    who = orm.User(name=slurm.PERSON.name)
    session.add(who)
    session.commit()
    return User(who, {"config": config, "hub": Hub(), "spawner_class": spawner_class}), session


class Stock:
    """A hub's user with one SlurmSpawner for each job, configured by nothing but whose they are."""

    def __init__(self, jobs: list[int]):
        user, self._session = user_of(Config(), SlurmSpawner)
        self.spawners: list[SlurmSpawner] = []
        for job in jobs:
            spawner = user.get_or_create_spawner(f"s{job}", "")
            spawner.job_id = str(job)
            self.spawners.append(spawner)

    async def round(self) -> None:
        """Poll each; raises BenchFailed unless each says that its job is there."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def poll(spawner: SlurmSpawner) -> int | None:
            async with gate:
                return await spawner.poll()

        answers = await asyncio.gather(*map(poll, self.spawners))
        lost = sum(answer is not None for answer in answers)
        if lost:
            raise BenchFailed(f"batchspawner lost {lost} of {len(answers)} jobs")

    def close(self) -> None:
        self._session.close()


class Ours:
    """A hub's cluster with one SlurmBackend for each job, as a hub finds them again when it restarts."""

    def __init__(self, cluster: Cluster, marks: list[str]):
        config = Config()
        config.SlurmBackend.hub_id = HUB
        config.SlurmBackend.slurm_conf = str(cluster.slurm_conf)
        config.SlurmBackend.client = "commands"
        # Nothing but `round` makes the monitor look, as often as that asks.
        config.SlurmBackend.interval = config.SlurmBackend.idle_interval = 3600
        who = {"username": slurm.PERSON.name, "uid": slurm.PERSON.uid, "gid": slurm.PERSON.gid}
        self.cluster = hub_cluster.Cluster.of(config)
        self.monitor = self.cluster.monitor
        self._user, self._session = user_of(config, SlurmBackend)
        self.spawners: list[SlurmBackend] = []
        for number, mark in enumerate(marks):
            spawner = self._user.get_or_create_spawner(f"s{number}", "")
            spawner.load_state({"mark": mark, "person": who | {"home": slurm.PERSON.home}})
            self.spawners.append(spawner)

    async def round(self) -> None:
        """One look, which every session follows; raises BenchFailed unless it was one question."""
        asked = self.monitor.asked["jobs"]
        await self.monitor.fresh()
        if self.monitor.asked["jobs"] != asked + 1:
            raise BenchFailed(f"our monitor asked {self.monitor.asked['jobs'] - asked} questions")

    def check(self) -> None:
        """Raise BenchFailed unless every session knows by now that its job waits."""
        said = [spawner.status for spawner in self.spawners]
        known = sum(status is not None and status.queued for status in said)
        if known != len(self.spawners):
            raise BenchFailed(f"our monitor found {known} of {len(self.spawners)} jobs")

    async def close(self) -> None:
        await self.cluster.close()
        self._session.close()


async def take(figures: Figures, cluster: Cluster, rounds: int, scratch: Path) -> None:
    """Rounds of both sides in turn, for each number of sessions; the first of each warms up."""
    os.environ.update(cluster.environment)
    for count in SESSIONS:
        marks = [new_mark(HUB) for _ in range(count)]
        slurm.hold(cluster, marks)
        stock, ours = Stock(slurm.job_ids(cluster)), Ours(cluster, marks)
        try:
            await ours.round()
            ours.check()
            sides = {"stock": (stock.round, 1), "ours": (ours.round, LOOKS)}
            for number in range(rounds + 1):
                for side in list(sides)[:: 1 if number % 2 else -1]:
                    act, times = sides[side]
                    took = await cost(cluster, act, times)
                    ours.check()
                    if number:
                        figures.add(f"hub {count}", side, took.hub)
                        figures.add(f"controller {count}", side, took.controller)
                        figures.add(f"watch {count}", side, took.all)
                print(".", end="", flush=True)
        finally:
            await ours.close()
            stock.close()
            slurm.clear(cluster)
