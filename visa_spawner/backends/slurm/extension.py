"""More time for a job that runs, where the site lets the launcher give it."""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta
from typing import Any

from ...session import StartRefused
from .cluster import Cluster
from .launcher import LauncherRefused, LauncherSilent
from .seen import Job

log = logging.getLogger(__name__)

#: Why it was not given, by the launcher's kind of refusal.
_WORDS = {
    "not_allowed": "On this cluster the time of a session cannot be extended. Save your work before it ends.",
    "limit": "The cluster gives this session no more time. Save your work before it ends.",
    "partition": "The cluster gives this session no more time. Save your work before it ends.",
    "gone": "The session has ended on the cluster.",
    "silent": "The cluster does not answer at the moment. Try again in a few minutes.",
}


async def extend(cluster: Cluster, person: dict[str, Any], job: Job | None, until: datetime) -> datetime:
    """Have a job end later; gives its new end. Raises StartRefused, in words for the owner.

    `job` is None where it does not run.
    """
    if job is None or job.end is None or job.limit is None:
        raise _refused("gone")
    # From limit and end rather than from the start, since time in suspension does not count.
    minutes = math.ceil((job.limit + (until - job.end)) / timedelta(minutes=1))
    try:
        await cluster.launch.extend(person, job.id, minutes)
    except LauncherRefused as error:
        log.warning("Slurm did not extend job %d: %s: %s", job.id, error.kind, error)
        raise _refused(error.kind) from error
    except LauncherSilent as error:
        log.warning("The extension of job %d was not answered: %s", job.id, error)
        raise _refused("silent") from error
    cluster.monitor.look_soon()
    return job.end + timedelta(minutes=minutes) - job.limit


def _refused(kind: str) -> StartRefused:
    words = _WORDS.get(kind, "The session could not be extended. Tell the facility's staff.")
    return StartRefused(words, status=503 if kind == "silent" else 409, reason="cluster")
