"""Sessions as jobs of a Slurm cluster: one job a start, submitted and cancelled as the session's owner.

batchspawner asks Slurm about each server by itself, through a shell, keeps the job's id only after a start
is over, and takes silence for the end. Here one monitor answers for all sessions, a launcher that takes
JSON acts for the owner, what finds the job again is kept before it exists, and only Slurm's own word ends a
session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from batchspawner import SlurmSpawner
from traitlets import Unicode

from ...session import SessionPlan, StartRefused, State, Status
from ..warm.spec import pair_of
from ..words import clean_lines
from . import extension, refusals, trees, words
from . import job as asked
from .accounting import LONG_AGO
from .clients.base import SlurmSilent
from .following import Following
from .handler import join_hub
from .launcher import LauncherRefused, LauncherSilent
from .on_cluster import OnCluster
from .renewal import Renewal
from .seen import Job

# Importing batchspawner has added its own call to the hub: see there.
join_hub()


class SlurmBackend(Following, OnCluster, SlurmSpawner):
    """One session in one job."""

    #: What finds the job, together with its owner: its comment.
    mark = Unicode()
    session_key = Unicode()

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._changed = asyncio.Event()
        self._reset()

    def _reset(self) -> None:
        self.mark = self.session_key = self.job_id = self.node_name = ""
        #: The owner, as the launcher is told.
        self.person: dict[str, Any] = {}
        self._memory = 0
        self._submitted: datetime | None = None
        self._job: Job | None = None
        self._final: Status | None = None
        self._code = 0
        self._step = ""
        self._stop_wanted: Status | None = None
        #: From when on a look at the queue must have the job, if there is one.
        self._asked_at = time.monotonic()
        self._submitting: asyncio.Task | None = None
        self._inquiry: asyncio.Task | None = None
        self._renewal = Renewal(self)
        self.unsettled = True
        self.pair, self.seat = ("", ""), ""
        self._wake()

    @property
    def queue_limit(self) -> float:
        """Seconds that a session may wait in the queue."""
        return self.queue_hours * 3600

    # What is kept across restarts of the hub ---------------------------------------------------------
    def get_state(self) -> dict:
        """What finds the job again; empty when there is none."""
        if not self.mark:
            return {}
        return {
            "mark": self.mark,
            "job": int(self.job_id or 0),
            "person": self.person,
            "key": self.session_key,
            "memory": self._memory,
            "submitted": self._submitted and self._submitted.isoformat(),
            "pair": list(self.pair),
            "seat": self.seat,
        } | self._renewal.state()

    def load_state(self, state: dict) -> None:
        """Answer again for a job that an earlier hub process submitted, or was about to."""
        self._reset()
        self.mark = state.get("mark", "")
        if not self.mark:
            return
        # First of all: whose mark nobody answers for is cancelled.
        self.cluster.claim(self.mark, self)
        self.job_id = str(state.get("job") or "")
        self.person, self.session_key = state.get("person", {}), state.get("key", "")
        self._memory = int(state.get("memory", 0))
        profile, name = state.get("pair", ("", ""))
        self.pair, self.seat = (profile, name), state.get("seat", "")
        at = state.get("submitted")
        self._submitted = datetime.fromisoformat(at) if at else LONG_AGO
        self._renewal = Renewal(self, state)

    def clear_state(self) -> None:
        """Forget the job; one that may still be there becomes the cluster's to end."""
        self._renewal.close()
        if self.mark:
            self._leave()
        self._reset()

    def _leave(self) -> None:
        self.cluster.leave(self.mark, self.person, int(self.job_id or 0), self._submitted)

    # Start -------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Submit the job; returns when it stands in the queue.

        Raises StartRefused, in words. A submission that is not answered is looked for in the queue first.
        """
        if self.session is None:
            raise RuntimeError("start without a session's plan")
        self._reset()
        try:
            await self._start(self.session)
        except StartRefused as error:
            self._final, self._code = Status(State.FAILED, error.words), 1
            self._wake()
            raise

    async def _start(self, plan: SessionPlan) -> None:
        cluster, monitor = self.cluster, self.cluster.monitor
        self._say("Asking the cluster")
        if not monitor.answering:
            await monitor.fresh()
        if not monitor.answering:
            raise StartRefused(refusals.SILENT, status=503, reason="cluster")
        told, token = asked.node_plan(plan, self)
        told |= await trees.entered(plan, self)
        try:
            wanted = asked.job(plan, self, await cluster.closed_nodes())
        except SlurmSilent as error:
            raise StartRefused(refusals.SILENT, status=503, reason="cluster") from error
        self.pair = pair_of(plan.labels)
        self.seat = await cluster.room.choose(self)
        # Known before anything is asked for: a hub killed from here on finds the job, submitted or not.
        self.person, self.session_key = asked.person(plan), plan.key
        self._memory, self._asked_at = plan.resources.memory, time.monotonic()
        self.mark = asked.new_mark(cluster.hub_id)
        cluster.claim(self.mark, self)
        self.remember()
        if self.seat:
            self._say("Taking the room that is kept for this plan")
            await cluster.room.give_up(self.seat)
        self._say("Sending the session to the cluster")
        # Goes on when the start is cancelled, for what it makes must still be known.
        self._submitting = cluster.keep(self._submit(self.mark, wanted, told, token))
        try:
            await asyncio.shield(self._submitting)
        except LauncherRefused as error:
            self.log.warning("Slurm refused %s: %s: %s", self.session_key, error.kind, error)
            cluster.forget(self.mark)
            self.mark = ""
            raise refusals.start_refused(error.kind) from error
        except LauncherSilent as error:
            self.log.warning("The submission of %s was not answered: %s", self.session_key, error)
            self._asked_at = time.monotonic()
            await self._found_after_all()
        monitor.look_soon()

    async def _submit(self, mark: str, wanted: dict, told: dict, token: str) -> None:
        person = self.person
        job_id = await self.cluster.launch.submit(person, mark, wanted, told, token)
        if self.mark != mark:  # given up meanwhile
            self.cluster.leave(mark, person, job_id)
            return
        self.job_id = str(job_id)
        self._asked_at = time.monotonic()
        self.remember()

    async def _found_after_all(self) -> None:
        """Return when the job of an unanswered submission is in the queue; raise StartRefused without."""
        cluster, monitor = self.cluster, self.cluster.monitor
        try:
            async with asyncio.timeout(2 * cluster.settle_seconds):
                with monitor.hurried():
                    while not self.job_id:
                        if cluster.settled(self._asked_at):
                            self._leave()  # its files may be there
                            self.mark = ""
                            raise StartRefused(refusals.NEVER_ARRIVED, status=503, reason="cluster")
                        await monitor.next_turn()
        except TimeoutError:
            cluster.leave(self.mark, self.person)
            self.mark = ""
            raise StartRefused(refusals.NOT_ANSWERED, status=503, reason="cluster") from None

    def given(self, seat: str) -> None:
        """Keep, before it is given up, which seat is this session's."""
        self.seat = seat
        self.remember()

    def _say(self, step: str) -> None:
        self._step = step
        self._wake()

    async def events(self) -> AsyncIterator[Status]:
        """Each step of the start, and each change in the queue; ends when the job runs or is over."""
        said = ""
        while True:
            changed, status = self._changed, self.status
            if self._final is not None:
                return
            if status is not None and status.words and status.words != said:
                said = status.words
                yield status
            if self._runs():
                return
            await changed.wait()

    async def placed(self) -> None:
        """Return when the job runs on a node."""
        while not self._runs():
            await self._changed.wait()

    def _runs(self) -> bool:
        # One that is put back into the queue is "completing" as well, before it waits there again.
        return self._job is not None and words.has_begun(self._job) and self._job.state != "COMPLETING"

    # Watching ----------------------------------------------------------------------------------------
    @property
    def status(self) -> Status | None:
        """What the monitor's last look makes of it; None before anything was asked for."""
        if self._final is not None:
            return self._final
        if self._stop_wanted is not None:
            return self._stop_wanted
        monitor = self.cluster.monitor
        if self.mark and monitor.answering is False:
            return words.unknown(monitor.since)
        if self._job is None:
            return Status(State.STARTING, self._step) if self._step or self.mark else None
        status = words.status_of(self._job, monitor.queue, memory=self._memory)
        if self._renewal.under_way and status.state is State.RUNNING:
            return Status(State.STARTING, words.starts_again(self._job), status.since)
        return status

    def _wake(self) -> None:
        # A new event each time: nobody can miss a change between looking and waiting.
        self._changed.set()
        self._changed = asyncio.Event()

    async def poll(self) -> int | None:
        """None while the job waits or runs, or nobody can tell; else the exit code."""
        if self._final is not None:
            return self._code
        return None if self.mark else 0

    def may_have_ended(self) -> bool:
        """Whether the monitor has said so, or there is no job."""
        return self._final is not None or not self.mark

    async def ended(self) -> Status:
        """Wait until, on Slurm's own word, the job is over."""
        while self._final is None:
            await self._changed.wait()
        return self._final

    async def address(self) -> str | None:
        """Where the session's server is reached now; None while that cannot be told."""
        if not self.reported_port or not self._runs() or not self.node_name:
            return None
        host = await self.cluster.address(self.node_name)
        return host and f"http://{f'[{host}]' if ':' in host else host}:{self.reported_port}"

    def ends(self) -> datetime | None:
        """The end of the job's time limit, once it runs."""
        return self._job.end if self._runs() else None

    async def extend(self, until: datetime) -> datetime:
        """Have the job's time limit set anew; raises StartRefused in words."""
        return await extension.extend(self.cluster, self.person, self._job if self._runs() else None, until)

    async def last_lines(self, count: int = 40) -> list[str]:
        """The end of the job's output."""
        if not self.job_id or count <= 0:
            return []
        try:
            lines = await self.cluster.launch.log(self.person, self.mark, count)
        except (LauncherRefused, LauncherSilent) as error:
            self.log.warning("The output of job %s cannot be read: %s", self.job_id, error)
            return []
        return clean_lines("\n".join(lines).encode("utf-8", "replace"), count)

    # Stop --------------------------------------------------------------------------------------------
    async def stop(self, now: bool = False) -> None:
        """Cancel the job and wait until Slurm says that it is over; harmless when there is none.

        Raises StopDelayed when Slurm does not say so in `cancel_timeout`: the job is then ended as soon as it
        can be.
        """
        if self._submitting is not None:
            await asyncio.wait([self._submitting])
        self._renewal.close()
        if not self.mark:
            return
        cluster = self.cluster
        self._stop_wanted = Status(State.STOPPING, "Stopping")
        self._wake()
        try:
            async with asyncio.timeout(cluster.cancel_timeout):
                await self._stop()
        except (TimeoutError, LauncherRefused, LauncherSilent) as error:
            self._leave()
            self.log.warning("Job %s of %s is not over yet: %s", self.job_id, self.session_key, error)
            raise refusals.StopDelayed(refusals.STOP_DELAYED) from error
        finally:
            self._stop_wanted = None
        if self._final is None:
            self._end(Status(State.STOPPED, words.STOPPED), 0)
        if self.mark not in cluster.leftovers:
            cluster.forget(self.mark)
        self.mark = self.job_id = ""

    async def _stop(self) -> None:
        cluster, monitor = self.cluster, self.cluster.monitor
        with monitor.hurried():
            # One that was never seen may still come: nothing is left only when Slurm was asked long enough.
            while self._final is None and not self.job_id:
                if cluster.settled(self._asked_at):
                    return
                await monitor.next_turn()
            if self._final is None:
                try:
                    await cluster.launch.cancel(self.person, int(self.job_id))
                except LauncherRefused as error:
                    if error.kind != "gone":
                        raise
            while self._final is None:
                await monitor.next_turn()
        try:
            await cluster.remove_files(self.mark, self.person, monitor.find(self.mark, self.person["uid"]))
        except (LauncherRefused, LauncherSilent):
            # The job is over; only its files are still to be removed.
            self._leave()
