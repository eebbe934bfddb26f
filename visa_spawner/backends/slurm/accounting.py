"""How a job ended, where the list does not tell all: when it was forgotten, or who cancelled it."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from .clients.base import SlurmSilent
from .monitor import Monitor
from .seen import Job

log = logging.getLogger(__name__)

#: Accounting learns of an end a moment later: how often it is asked, and seconds between.
ATTEMPTS, PAUSE = 3, 1.0
#: What stands for the time of a job that no look has shown yet.
LONG_AGO = datetime.min.replace(tzinfo=UTC)


async def ended_job(monitor: Monitor, job_id: int, uid: int, submitted: datetime | None) -> Job | None:
    """A job as accounting has it, which may be that it has not ended; None where there is no word of it.

    One that was not `submitted` then, where that is known, is another that got the same id.
    """
    found = None
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE)
        try:
            found = await monitor.forgotten(job_id)
        except SlurmSilent as error:
            log.warning("How job %d ended is not known: %s", job_id, error)
            return None
        if found is not None and found.ended:
            break
    is_another = submitted is not None and submitted > LONG_AGO and found and found.submitted != submitted
    return None if found is None or found.uid != uid or is_another else found
