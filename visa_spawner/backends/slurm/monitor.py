"""One look at the queue an interval, shared by every session on the cluster.

What it costs does not depend on the number of sessions. The silence of a controller changes nothing that
was seen before: unknown is not dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ..looking import Looking
from . import meters
from .clients.base import SlurmClient, SlurmSilent
from .job import is_of
from .queue import Queue
from .seen import Job, Node

#: Seconds between two looks while somebody waits for a job to start or end.
HURRIED = 0.5
#: A question is followed by a pause of so many times as long as its answer took, and of so many where
#: somebody waits for a job.
REST, REST_IN_HASTE = 10, 3
#: Seconds between two questions to a controller that does not answer, at most.
MOST = 60.0
#: Seconds an answer may take before the operator is told.
SLOW = 2.0
#: Ended jobs that are remembered from accounting.
REMEMBERED = 1000


class Monitor(Looking):
    """What the controller last said; docs/developers/slurm.md has the intervals.

    `jobs` are everybody's. `by_mark` are those that carry a mark of this hub, whoever owns them; where
    several carry one mark, the first that was submitted, since nobody can know a mark before its job is
    there.
    """

    def __init__(
        self,
        client: SlurmClient,
        hub_id: str,
        *,
        changed: Callable[[Monitor], None] = lambda monitor: None,
        busy: Callable[[], bool] = lambda: False,
        interval: float = 5.0,
        idle_interval: float = 60.0,
        nodes_interval: float = 10.0,
        log: logging.Logger | None = None,
    ):
        """`busy` says whether there are sessions that the list may not show yet; `changed` is called after
        each look, answered or not. Needs a running event loop."""
        super().__init__()
        self.client = client
        self.jobs: dict[int, Job] = {}
        self.by_mark: dict[str, Job] = {}
        #: When the controller last told of its jobs, and how many seconds that took.
        self.answered: datetime | None = None
        self.took = 0.0
        #: When it is asked again at the latest.
        self.next_look = self.since
        #: Questions asked so far, by what was asked: `jobs`, `nodes`, `accounting`.
        self.asked = {"jobs": 0, "nodes": 0, "accounting": 0}
        self._hub_id, self._prefix = hub_id, f"visa:{hub_id}:"
        self._changed, self._busy = changed, busy
        self._interval, self._idle_interval, self._nodes_interval = interval, idle_interval, nodes_interval
        self._log = log or logging.getLogger(__name__)
        self._owned: dict[tuple[str, int], Job] = {}
        self._queue: Queue | None = None
        self._listed: list[Job] = []
        self._alive = 0
        self._silences = 0
        self._slow = False
        self._nodes: list[Node] = []
        self._nodes_good_until = 0.0
        self._nodes_silent: SlurmSilent | None = None
        self._nodes_task: asyncio.Task[list[Node]] | None = None
        self._ended: OrderedDict[int, Job] = OrderedDict()
        self._accounting = asyncio.Lock()
        self._accounting_rests_until = 0.0
        self._task = asyncio.create_task(self._run(), name="slurm monitor")

    # What is known

    def find(self, mark: str, uid: int) -> Job | None:
        """The job with this mark and this owner, by the last look; the first, where somebody copied it."""
        return self._owned.get((mark, uid))

    def owned_by(self, uid: int) -> list[Job]:
        """All of one owner's jobs that carry a mark of this hub, by the last look; one for each mark."""
        return [job for (_, owner), job in self._owned.items() if owner == uid]

    @property
    def queue(self) -> Queue:
        """Everybody's waiting jobs, by the last look; put in order when somebody first asks."""
        if self._queue is None:
            self._queue = Queue(self.jobs.values())
        return self._queue

    async def nodes(self) -> list[Node]:
        """The nodes, as they were at most `nodes_interval` ago. Those who ask meanwhile share one question.

        Raises SlurmSilent; a controller that is known to be silent is not asked.
        """
        if self.answering is False:
            raise self._nodes_silent or SlurmSilent("the controller does not answer")
        if self._nodes_task is None and time.monotonic() < self._nodes_good_until:
            if self._nodes_silent:
                raise self._nodes_silent
            return self._nodes
        if self._nodes_task is None:
            self._nodes_task = asyncio.create_task(self._ask_for_nodes(), name="slurm nodes")
            # Whoever asked may be gone by the time it fails.
            self._nodes_task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._nodes_task)

    async def forgotten(self, job_id: int) -> Job | None:
        """A job as accounting has it, one that the controller has forgotten or one that has just ended.

        It alone knows who cancelled a job. None where it does not know the job, or not yet. Raises
        SlurmSilent, for all who ask within `interval` of a silence.
        """
        async with self._accounting:
            if job_id not in self._ended:
                if time.monotonic() < self._accounting_rests_until:
                    raise SlurmSilent("accounting does not answer")
                self.asked["accounting"] += 1
                try:
                    job = await self._timed("accounting", self.client.ended_job(job_id))
                except SlurmSilent:
                    self._accounting_rests_until = time.monotonic() + self._interval
                    raise
                if job is None or not job.ended:
                    if job is not None and self.answering and job_id not in self.jobs:
                        self._log.error(
                            "Accounting has job %d as %s, and the controller does not tell of it: may the"
                            " hub's account see all jobs? See docs/operators/slurm.md",
                            *(job_id, job.state),
                        )
                    return job
                self._ended[job_id] = job
                while len(self._ended) > REMEMBERED:
                    self._ended.popitem(last=False)
            return self._ended[job_id]

    # When it looks

    async def close(self) -> None:
        """Stop looking, and let go of the client."""
        for task in (self._task, self._nodes_task):
            if task:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, SlurmSilent):
                    await task
        await self.client.close()

    def pause(self) -> float:
        """Seconds until the next look, if nobody asks for one."""
        if self._silences:
            return min(MOST, self._interval * 2 ** min(self._silences - 1, 10))
        if self.hurry:
            return max(HURRIED, self._rest())
        wanted = self._interval if self._alive or self._busy() else self._idle_interval
        return max(wanted, REST * self.took)

    def _rest(self) -> float:
        """Seconds that the controller is left alone in any case."""
        if self._silences:
            return self._interval
        return min(REST * self.took, max(self._interval, REST_IN_HASTE * self.took))

    async def _run(self) -> None:
        while True:
            self._begin()
            await self._look()
            await self._turned()
            pause, rest = self.pause(), self._rest()
            self.next_look = datetime.now(UTC) + timedelta(seconds=pause)
            meters.NEXT_LOOK.set(self.next_look.timestamp())
            await asyncio.sleep(min(rest, pause))
            await self._woken(max(0.0, pause - rest))

    # How it looks

    async def _look(self) -> None:
        asked = time.monotonic()
        self.asked["jobs"] += 1
        try:
            jobs = await self._timed("jobs", self.client.jobs())
        except Exception as error:
            self._silences += 1
            if not isinstance(error, SlurmSilent):
                # A defect of ours must not end the monitor; no word of Slurm's it is in any case.
                self._log.exception("Asking Slurm failed")
            if self._answers(False):
                self._log.warning("Slurm does not answer, so its sessions are unknown: %s", error)
        else:
            self._silences, self.took, self.answered = 0, time.monotonic() - asked, datetime.now(UTC)
            if jobs is not self._listed:
                self._follow(jobs)
            self.as_of = asked
            if self._answers(True):
                self._log.info(
                    "Slurm answers (%s): %d jobs, %d of them of this hub and not ended, told in %.3f seconds",
                    *(self.client.name, len(self.jobs), self._alive, self.took),
                )
            self._tell_if_slow()
            meters.ANSWERED.set(self.answered.timestamp())
            meters.ALL_JOBS.set(len(self.jobs))
            meters.OWN_JOBS.set(self._alive)
        meters.ANSWERING.set(bool(self.answering))
        try:
            self._changed(self)
        except Exception:
            # The monitor must outlive a fault in what follows it, or no session would ever change again.
            self._log.exception("Following the cluster's queue failed")

    def _follow(self, jobs: list[Job]) -> None:
        self._listed, self._queue = jobs, None
        self.jobs = {job.id: job for job in jobs}
        self.by_mark, self._owned, self._alive = {}, {}, 0
        for job in sorted((job for job in jobs if job.mark.startswith(self._prefix)), key=lambda job: job.id):
            if is_of(job.mark, self._hub_id):
                self.by_mark.setdefault(job.mark, job)
                self._owned.setdefault((job.mark, job.uid), job)
                self._alive += not job.ended

    def _tell_if_slow(self) -> None:
        if (self.took >= SLOW) == self._slow:
            return
        self._slow = not self._slow
        if self._slow:
            self._log.warning(
                "Slurm took %.1f seconds to tell of its jobs; it is asked every %.0f seconds at most now",
                *(self.took, REST * self.took),
            )
        else:
            self._log.info("Slurm tells of its jobs in %.3f seconds again", self.took)

    async def _ask_for_nodes(self) -> list[Node]:
        asked = time.monotonic()
        self.asked["nodes"] += 1
        try:
            self._nodes = await self._timed("nodes", self.client.nodes())
            self._nodes_silent = None
            return self._nodes
        except SlurmSilent as error:
            self._nodes_silent = error
            raise
        finally:
            now = time.monotonic()
            self._nodes_good_until = max(asked + self._nodes_interval, now + min(MOST, REST * (now - asked)))
            self._nodes_task = None

    async def _timed(self, what: str, question: Awaitable):
        began = time.monotonic()
        try:
            answer = await question
        except SlurmSilent:
            meters.UNANSWERED.labels(what).inc()
            raise
        meters.QUESTION.labels(what).observe(time.monotonic() - began)
        return answer
