"""One cluster, as one hub has it: client, monitor and launcher, shared by every session in this process."""

from __future__ import annotations

import asyncio
import json
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from traitlets import TraitError
from traitlets.config import Config, LoggingConfigurable

from .. import meters
from ..unattended import Unattended
from .capacity import Capacity
from .clients import open_client
from .clients.base import SlurmSilent
from .job import is_of
from .launcher import Launcher, LauncherRefused, LauncherSilent
from .monitor import Monitor
from .over import Over
from .seats.tending import Seats
from .seen import Job
from .settings import SlurmSettings

#: Failures that whoever began a task hears of, or writes to the log, by themselves.
#: Seconds between two attempts to end what is left of a session, at most.
LONGEST_PAUSE = 600.0
#: Seconds after which every session hears of the same answer again, for times in its words pass.
SAID_AGAIN = 60.0


class Claim(Protocol):
    """Whoever answers for a mark: a backend that submitted a job with it, or found one again."""

    session_key: str
    node_name: str
    #: Whose session it is, as every request to the launcher names them; empty before that is known.
    person: dict[str, Any]
    #: Whether the passing of time alone may change what it makes of the same answer.
    unsettled: bool
    #: Profile and plan; and the mark of the seat that was given up for it, "" where none was.
    pair: tuple[str, str]
    seat: str

    def given(self, seat: str) -> None:
        """Keep, before it is given up, which seat is this session's."""

    def noticed(self) -> None:
        """The monitor has looked again, answered or not."""


@dataclass
class Leftover:
    """A job that should be over and is not known to be: cancelled whenever the controller has it."""

    mark: str
    person: dict[str, Any]
    job_id: int = 0
    submitted: datetime | None = None
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    known_since: float = field(default_factory=time.monotonic)
    retrying: bool = False
    #: Seconds until it is tried again after the next failure, and when that is over (monotonic).
    pause: float = 1.0
    rests_until: float = 0.0


class Cluster(Unattended, SlurmSettings, LoggingConfigurable):
    """The cluster of one hub in this process; get it with `Cluster.of`."""

    task_failed = "A task of the cluster's failed"
    told = (LauncherRefused, LauncherSilent)
    _known: ClassVar[dict[str, Cluster]] = {}

    @classmethod
    def of(cls, config: Config) -> Cluster:
        """The cluster that a hub's configuration describes, made at first use.

        Raises TraitError when the configuration is wrong.
        """
        names = SlurmSettings.class_trait_names(config=True)
        settings = {name: value for name, value in config.get("SlurmBackend", {}).items() if name in names}
        own = Config({"Cluster": settings})
        mark = json.dumps(own, sort_keys=True, default=repr)
        if mark not in cls._known:
            cls._known[mark] = cls(config=own)
        return cls._known[mark]

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not self.hub_id:
            raise TraitError("SlurmBackend.hub_id must be set: a name of this hub's own on the cluster")
        if self.seats and not self.seats_user:
            raise TraitError("SlurmBackend.seats needs seats_user, the account that they are jobs of")
        #: Opened here, so that a client that cannot be used is said when the settings are read.
        self.reader = open_client(self)
        self.launch = Launcher(
            list(self.launcher), timeout=self.launcher_timeout, at_once=self.submissions_at_once
        )
        self.claims: dict[str, Claim] = {}
        #: What should be over and is not known to be, by mark: also in the hub's log.
        self.leftovers: dict[str, Leftover] = {}
        #: Whether it was closed, so that another is to be asked for.
        self.gone = False
        #: Tells of a node that is closed to new sessions, where the hub has a page for that.
        self.closed: Callable[[str], str | None] | None = None
        self.addresses: dict[str, str] = {}
        self._monitor: Monitor | None = None
        self._capacity: Capacity | None = None
        self._over = Over()
        #: Room that is kept for sessions of some plans.
        self.room = Seats(self)
        self._was_silent = False
        self._heard: tuple = (None, None)
        self._said_until = 0.0

    @property
    def monitor(self) -> Monitor:
        """What the controller last said; begins to look at the first use. Needs a running event loop."""
        if self._monitor is None:
            self._monitor = Monitor(
                self.reader,
                self.hub_id,
                changed=self._follow,
                busy=lambda: bool(self.claims or self.leftovers),
                interval=self.interval,
                idle_interval=self.idle_interval,
                nodes_interval=self.nodes_interval,
                log=self.log,
            )
        return self._monitor

    @property
    def capacity(self) -> Capacity:
        """What is free now; asks only while somebody looks."""
        if self._capacity is None:
            self._capacity = Capacity(self.monitor, self.partition)
        return self._capacity

    def sessions_by_node(self) -> dict[str, list[str]]:
        """The keys `OWNER/NAME` of this hub's sessions on each node."""
        found: dict[str, list[str]] = {}
        for claim in self.claims.values():
            if claim.node_name:
                found.setdefault(claim.node_name, []).append(claim.session_key)
        return found

    async def close(self) -> None:
        """Stop looking; what runs on the cluster runs on."""
        await self.end_tasks()
        if self._monitor is not None:
            await self._monitor.close()
        self._monitor = self._capacity = None
        for mark, cluster in list(self._known.items()):
            if cluster is self:
                del self._known[mark]
        self.gone = True

    def claim(self, mark: str, claim: Claim) -> None:
        """Answer for a mark from now on."""
        self.claims[mark] = claim
        self.leftovers.pop(mark, None)

    def forget(self, mark: str) -> None:
        """Nothing is left of a mark, and nobody answers for it."""
        self.claims.pop(mark, None)
        self.leftovers.pop(mark, None)

    def leave(
        self, mark: str, person: dict[str, Any], job_id: int = 0, submitted: datetime | None = None
    ) -> None:
        """A session is given up whose job is not known to be over: it is ended whenever Slurm has it."""
        self.claims.pop(mark, None)
        if mark not in self.leftovers:
            self.log.warning("What is left of %s (job %s) is to be ended", mark, job_id or "unknown")
            self.leftovers[mark] = Leftover(mark, person, job_id, submitted)
        self.monitor.look_soon()

    async def remove_files(self, mark: str, person: dict[str, Any], job: Job | None) -> None:
        """Remove the files of a session whose job is over; `job` as last seen, None where it never was.

        Raises LauncherRefused or LauncherSilent.
        """
        await self.launch.forget(person, mark)
        self._over.remember(mark, person, job)

    def find(self, mark: str, uid: int, job_id: int = 0, submitted: datetime | None = None) -> Job | None:
        """A session's job, by the last look.

        By its id where that is known, for its owner may write another comment into it, or the same into
        another job. A controller that lost its state gives the same id to another job: one without the mark
        must have been submitted when the session's was, `submitted`, where that is known.
        """
        if not job_id:
            return self.monitor.find(mark, uid)
        job = self.monitor.jobs.get(job_id)
        if job is None or job.uid != uid:
            return None
        is_ours = job.mark == mark or submitted in (None, job.submitted)
        return job if is_ours else None

    def settled(self, since: float) -> bool:
        """Whether a mark that was submitted before `since` (monotonic) and was never seen never will be."""
        monitor = self.monitor
        answered_for = (datetime.now(UTC) - monitor.since).total_seconds()
        return (
            monitor.answering is True
            and answered_for >= self.settle_seconds
            and monitor.as_of - since >= self.settle_seconds
        )

    async def address(self, host: str) -> str | None:
        """Where a node is reached: its own name if the controller has no other; None while that is silent.

        Asked for anew each time, since a node may come back at another address.
        """
        try:
            self.addresses = {node.name: node.address for node in await self.monitor.nodes()}
        except SlurmSilent:
            return self.addresses.get(host)
        return self.addresses.get(host, host)

    async def closed_nodes(self) -> list[str]:
        """Nodes that an administrator has closed to new sessions, by the hub's own list."""
        if self.closed is None:
            return []
        return [node.name for node in await self.monitor.nodes() if self.closed(node.name) is not None]

    # What is left over ----------------------------------------------------------------------------------
    async def sweep(self) -> list[int]:
        """Cancel this hub's jobs that belong to no session; gives their ids.

        A job does not name its session, so the hub's list of live ones cannot tell: whose mark somebody
        answers for is a session's. JupyterHub makes the spawners of all that may run before it first waits
        for anything, so each has claimed its mark by now. A silent controller is left for the next time.
        """
        monitor = self.monitor
        await monitor.fresh()
        if not monitor.answering:
            return []
        listed = [job for job in monitor.jobs.values() if is_of(job.mark, self.hub_id) and not job.ended]
        swept, later = [], False
        for job in listed:
            if job.mark in self.claims or job.mark in self.leftovers or self.room.owns(job):
                continue
            if self._is_young(job):
                later = True
                continue
            try:
                person = _person(job.uid)
            except KeyError:
                self.log.error("Job %d is of this hub, of no session, and of no account here", job.id)
                continue
            self.log.warning("Cancelling job %d of %s, which belongs to no session", job.id, job.mark)
            self.leftovers[job.mark] = Leftover(job.mark, person, job.id, job.submitted)
            swept.append(job.id)
            await self._end(self.leftovers[job.mark])
        if later:
            self.keep(self._sweep_later())
        return swept

    async def _sweep_later(self) -> None:
        await asyncio.sleep(self.settle_seconds)
        await self.sweep()

    def _is_young(self, job: Job) -> bool:
        if job.submitted is None:
            return False
        return (datetime.now(UTC) - job.submitted).total_seconds() < self.settle_seconds

    def _follow(self, monitor: Monitor) -> None:
        meters.LEFTOVERS.labels("slurm").set(len(self.leftovers))
        same = self._have_heard(monitor)
        for claim in list(self.claims.values()):
            if same and not claim.unsettled:
                continue
            try:
                claim.noticed()
            except Exception:
                # One session's fault must not leave all others looking the same for ever.
                self.log.exception("Following a job failed")
        if monitor.answering and self._was_silent:
            # A controller that was killed comes back with what it had written down a moment before: jobs that
            # it has ended since then are there again, and start anew.
            self.keep(self.sweep())
        self._was_silent = monitor.answering is False
        if monitor.answering:
            if not same:
                for mark, person, job in self._over.returned(monitor):
                    self.leave(mark, person, job.id, job.submitted)
            for leftover in list(self.leftovers.values()):
                if not leftover.retrying and time.monotonic() >= leftover.rests_until:
                    self.keep(self._end(leftover))
            self.room.turned()

    def _have_heard(self, monitor: Monitor) -> bool:
        """Whether the sessions know this answer: to tell each again costs more than the question did."""
        answering, jobs = self._heard
        if monitor.answering is answering and monitor.jobs is jobs and time.monotonic() < self._said_until:
            return True
        self._heard, self._said_until = (monitor.answering, monitor.jobs), time.monotonic() + SAID_AGAIN
        return False

    async def _end(self, leftover: Leftover) -> None:
        """One attempt: cancel it while Slurm has it, forget it and its files when it is over."""
        leftover.retrying = True
        try:
            job = self.find(leftover.mark, leftover.person["uid"], leftover.job_id, leftover.submitted)
            if job is not None and not job.ended:
                leftover.job_id = job.id
                await self.launch.cancel(leftover.person, job.id)
                self.monitor.look_soon()
            elif job is not None or self._never(leftover):
                await self.remove_files(leftover.mark, leftover.person, job)
                self.leftovers.pop(leftover.mark, None)
                self.log.info("Nothing is left of %s", leftover.mark)
        except (LauncherRefused, LauncherSilent) as error:
            # Whose files they are can see to it that they are never removed.
            leftover.rests_until = time.monotonic() + leftover.pause
            leftover.pause = min(2 * leftover.pause, LONGEST_PAUSE)
            self.log.warning("What is left of %s is tried again: %s", leftover.mark, error)
        finally:
            leftover.retrying = False

    def _never(self, leftover: Leftover) -> bool:
        """Whether a mark that is not listed stands for nothing any more."""
        if leftover.job_id:
            return self.monitor.as_of > leftover.known_since
        return self.settled(leftover.known_since)


def _person(uid: int) -> dict[str, Any]:
    found = pwd.getpwuid(uid)
    return {"username": found.pw_name, "uid": uid, "gid": found.pw_gid, "home": found.pw_dir}
