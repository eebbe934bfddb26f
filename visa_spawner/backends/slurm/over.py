"""Jobs that are over and whose files are gone: some come back.

A controller that was killed reads what it had written down a moment before, and starts anew what it has ended
since then. Such a job finds no plan and ends by itself, often between two looks, but Slurm has made its log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .monitor import Monitor
from .seen import Job

#: So many are remembered; the controller itself lists those that are over for some minutes only.
REMEMBERED = 1000


@dataclass(frozen=True)
class _Ended:
    person: dict[str, Any]
    restarts: int
    end: datetime | None


class Over:
    """What was known of each job when its files were removed."""

    def __init__(self):
        self._known: OrderedDict[str, _Ended] = OrderedDict()

    def remember(self, mark: str, person: dict[str, Any], job: Job | None) -> None:
        """The files of a mark are gone; `job` is the last that was seen of it."""
        self._known[mark] = _Ended(person, job.restarts if job else 0, job.end if job else None)
        self._known.move_to_end(mark)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def returned(self, monitor: Monitor) -> Iterator[tuple[str, dict[str, Any], Job]]:
        """Mark, person and job of those that have run again since; each is given once."""
        for mark in self._known.keys() & monitor.by_mark.keys():
            known = self._known[mark]
            job = monitor.find(mark, known.person["uid"])
            if job is None or (job.ended and (job.restarts, job.end) == (known.restarts, known.end)):
                continue
            del self._known[mark]
            yield mark, known.person, job
