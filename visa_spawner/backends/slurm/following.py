"""A session and its job: what the monitor's looks say of it, until Slurm's own word that it is over."""

from __future__ import annotations

import time

from ...session import State, Status
from . import words
from .accounting import ended_job
from .seen import Job

#: Seconds until accounting is asked again about a job that only the controller's list lacks.
_LATER = 60.0


class Following:
    """Mixed into `SlurmBackend`."""

    def noticed(self) -> None:
        """The monitor has looked again, answered or not."""
        cluster, monitor, job = self.cluster, self.cluster.monitor, None
        before = self._job and self._job.state
        # Until all of it is gone through: what fails here is tried again at the next look.
        self.unsettled = True
        if self.mark and self._final is None and monitor.answering:
            job = cluster.find(self.mark, self.person["uid"], int(self.job_id or 0), self._submitted)
            if job is not None:
                self._saw(job)
            elif self.job_id:
                if monitor.as_of > self._asked_at:
                    self._miss()
            elif self._submitting is None and cluster.settled(self._asked_at):
                self._end(words.NEVER_STARTED, 1)
        listed = job is not None and not job.ended and self._renewal.settled(job)
        self.unsettled = not listed and self._final is None
        self._wake()
        if self._job is not None and self._job.state != before:
            self.looked()

    def _saw(self, job: Job) -> None:
        self._job = job
        self.node_name = job.host
        if (self.job_id, self._submitted) != (str(job.id), job.submitted):
            self.job_id, self._submitted = str(job.id), job.submitted
            self.remember()
        if not job.ended:
            if self._stop_wanted is None:
                self._renewal.follow(job)
        elif job.state == "CANCELLED" and self._stop_wanted is None:
            # By whom is what accounting alone knows.
            self._inquire(job)
        else:
            self._over(job)

    def _over(self, job: Job) -> None:
        status = words.status_of(job, self.cluster.monitor.queue, memory=self._memory)
        self._end(status, job.exit_code or 1)

    def _end(self, status: Status, code: int) -> None:
        if self._stop_wanted is not None:
            status = Status(State.STOPPED, words.STOPPED)
        self._final, self._code = status, 0 if status.state is State.STOPPED else code
        self._renewal.close()
        self.log.info("Job %s of %s is over: %s", self.job_id, self.session_key, status.words)
        self._wake()

    def _miss(self) -> None:
        """The controller answers and has forgotten the job: accounting may still know how it ended."""
        if self._stop_wanted is not None:
            self._end(Status(State.STOPPED, words.STOPPED), 0)
        else:
            self._inquire(None)

    def _inquire(self, seen: Job | None) -> None:
        if self._inquiry is None or self._inquiry.done():
            self._inquiry = self.cluster.keep(self._ask_accounting(self.mark, int(self.job_id), seen))

    async def _ask_accounting(self, mark: str, job_id: int, seen: Job | None) -> None:
        """Learn how the job ended; without an answer it is what the controller showed, if it did."""
        found = await ended_job(self.cluster.monitor, job_id, self.person["uid"], self._submitted)
        if self.mark != mark or self._final is not None:
            return
        if found is not None and found.ended:
            self._over(found)
        elif seen is not None:
            self._over(seen)
        elif found is None:
            self._end(words.FORGOTTEN, 1)
        else:
            self.log.error(
                "Slurm does not list job %d, which by its accounting has not ended: may the hub's account see"
                " the jobs of all? See docs/operators/slurm.md",
                job_id,
            )
            self._inquiry, self._asked_at = None, time.monotonic() + _LATER
