"""The token of a job that Slurm starts again.

A job that is put back into the queue runs the same script again, but its token was taken, once, by its
first run. So each further run gets a new one, which ends the last. It is delivered until the launcher
takes it; the node program waits for it for some minutes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from .launcher import LauncherRefused, LauncherSilent
from .seen import Job

if TYPE_CHECKING:
    from .backend import SlurmBackend

#: Seconds in which a running session must say that it listens, before a hub that was killed while it
#: delivered the token takes it for not delivered. Longer than a session takes to start from a cold disk.
GRACE = 60.0
#: Seconds between two attempts to deliver, at first and at most.
PAUSE, LONGEST_PAUSE = 1.0, 20.0


class Renewal:
    """One session's: `restarts` is the last run that a token was made for, `delivered` whether it has it."""

    def __init__(self, session: SlurmBackend, state: dict | None = None):
        self._session = session
        self.restarts = int((state or {}).get("restarts", 0))
        self.delivered = bool((state or {}).get("delivered", True))
        self._task: asyncio.Task | None = None
        self._since = time.monotonic()

    def state(self) -> dict:
        """What a restarted hub needs to go on."""
        return {"restarts": self.restarts, "delivered": self.delivered}

    @property
    def under_way(self) -> bool:
        """Whether the session starts again and has not said yet that it listens."""
        return self.restarts > 0 and not self._session.reported_port

    def settled(self, job: Job) -> bool:
        """Whether the run that Slurm tells of has its token."""
        return self.delivered and job.restarts <= self.restarts

    def follow(self, job: Job) -> None:
        """Slurm's last word of the job, which is not over."""
        if job.restarts > self.restarts:
            self._renew(job.restarts)
        elif not self.delivered and self._task is None:
            # An earlier hub process was killed while it delivered, and the token went with it.
            if self._session.reported_port:
                self.delivered = True
                self._session.remember()
            elif job.waiting or time.monotonic() - self._since >= GRACE:
                self._renew(self.restarts)

    def close(self) -> None:
        """Deliver no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _renew(self, restarts: int) -> None:
        session = self._session
        self.close()
        before = self.restarts, self.delivered
        # Committed together with the token: it calls `remember`.
        self.restarts, self.delivered = restarts, False
        token = ""
        try:
            token = session.renew_token()
        finally:
            if not token:  # a fault, or the session is being ended: looked at again at the next look
                self.restarts, self.delivered = before
        if token:
            session.log.warning(
                "Job %s of %s starts again and gets a new token", session.job_id, session.session_key
            )
            self._task = session.cluster.keep(self._deliver(token))

    async def _deliver(self, token: str) -> None:
        session, pause = self._session, PAUSE
        while True:
            try:
                await session.cluster.launch.deliver(session.person, session.mark, token, self.restarts)
            except (LauncherRefused, LauncherSilent) as error:
                session.log.warning("The token of job %s is delivered again: %s", session.job_id, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.delivered = True
                session.remember()
                return
