"""One look at the queue an interval, shared by every session on the cluster."""

from __future__ import annotations

from datetime import datetime

from .seen import Job, Node


class Monitor:
    """What the controller last said; docs/developers/slurm.md has the intervals."""

    answering: bool | None
    since: datetime
    as_of: float
    jobs: dict[int, Job]
    by_mark: dict[str, Job]

    def find(self, mark: str, uid: int) -> Job | None:
        """The job with this mark and this owner, by the last look."""
        raise NotImplementedError

    async def nodes(self) -> list[Node]:
        """The nodes, as they were at most `nodes_interval` ago."""
        raise NotImplementedError
