"""Sees to it that there are as many seats as should be: makes, finds again, gives to sessions, takes away.

It acts on the monitor's turns alone. What it decides by stands in `books.py`; what is asked of Slurm goes
through the launcher, as the service account.
"""

from __future__ import annotations

import asyncio
import pwd
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ....session import Resources, Start, WarmPair
from ...warm.demand import Starts, to_keep
from ..capacity import could_ever, default_of, how_many
from ..clients.base import SlurmSilent
from ..job import is_of
from ..launcher import LauncherRefused, LauncherSilent
from ..seen import Job, Node
from . import books, meters
from .books import Key
from .kinds import Kind, kind_of

if TYPE_CHECKING:
    from ..cluster import Claim, Cluster

#: Seconds in which a seat that was given up must be gone, before its session is submitted in any case.
GIVEN_IN = 2.0
#: Seconds for which a session that was given a seat is about to start in it, and does not wait.
SOON = 15.0
#: Seconds without a waiting job before a seat is made again.
REST = 60.0
#: Seconds after which a seat that has not begun is taken back: seats stand in nobody's line.
PATIENCE = 20.0
#: Seconds until one that could not be made is tried again: twice as long each time, at most so long.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
#: Seconds for which images, and the number of seats that should be there, are believed.
LOOKED = 60.0


class Seats:
    """Of one cluster's; idle until it is told which pairs there are."""

    def __init__(self, cluster: Cluster):
        self._cluster, self._log = cluster, cluster.log
        self.person = _account(cluster.seats_user) if cluster.seats_user else None
        if cluster.seats and self.person is None:
            self._log.error("No seats on the cluster: the account %r is not known here", cluster.seats_user)
        self._pairs: dict[Key, WarmPair] = {}
        self._starts = Starts()
        self._told = False
        self._kinds: dict[Key, Kind] = {}
        self._wanted: dict[Key, int] = {}
        self._looked_at = -LOOKED
        #: Marks that were given to sessions or taken away, and since when: no longer seats.
        self._gone: dict[str, float] = {}
        #: For how many looks in a row jobs have waited, and until when none is made.
        self._waited, self._rests_until = 0, 0.0
        self._made_by: list[Node] | None = None
        self._made_at = 0.0
        self._pauses: dict[Key, tuple[float, float]] = {}
        self._task: asyncio.Task | None = None

    def tell(self, pairs: Iterable[WarmPair], starts: Iterable[Start]) -> None:
        """Which pairs there are, and when their sessions were started lately."""
        if self.person is None:
            return
        cluster = self._cluster
        if cluster.seats:
            self._pairs = {pair.key: pair for pair in pairs if cluster.seats_gpus or not pair.resources.gpus}
        for start in starts:
            if (key := (start.profile, start.plan)) in self._pairs:
                self._starts.note(key, start.when)
        self._told, self._looked_at = True, -LOOKED
        cluster.monitor.look_soon()

    def owns(self, job: Job) -> bool:
        """Whether a job with a mark of this hub is a seat, of this configuration or an earlier one."""
        return self.person is not None and job.uid == self.person["uid"]

    def held(self) -> list[Job]:
        """The seats by the last look, without those that are being given up."""
        if self.person is None:
            return []
        return [
            job
            for job in self._cluster.monitor.owned_by(self.person["uid"])
            if not job.ended and job.state != "COMPLETING" and job.mark not in self._gone
        ]

    def _seat(self, mark: str) -> Job | None:
        """The seat with a mark, by the last look: anybody may have written the same one into another job."""
        return self._cluster.monitor.find(mark, self.person["uid"]) if self.person else None

    def free(self, resources: Resources) -> int:
        """How many sessions of this size would be given one now."""
        kinds = {key: kind for key, kind in self._kinds.items() if kind.pair.resources == resources}
        running = [job for job in self.held() if job.state == "RUNNING"]
        return sum(map(len, books.by_kind(running, kinds).values()))

    # A session -----------------------------------------------------------------------------------------
    async def choose(self, claim: Claim) -> str:
        """The mark of the seat that a session should have before it is submitted; "" for none.

        None where there is room without, or no seat of its plan: it is submitted as ever then.
        """
        if claim.pair not in self._pairs:
            return ""
        self._starts.note(claim.pair, datetime.now(UTC))
        self._looked_at = -LOOKED
        kind, how, found = self._kinds.get(claim.pair), "none", None
        try:
            nodes = await self._cluster.monitor.nodes()
            if self._room(nodes, self._partition(claim.pair, nodes), self._pairs[claim.pair]):
                how = "room"
            elif kind is not None:
                found = await self._to_give(kind, nodes)
                how = "seat" if found else "none"
        except SlurmSilent:
            pass
        meters.STARTS.labels(*claim.pair, how).inc()
        if found is None:
            return ""
        self._gone[found.mark] = time.monotonic()
        return found.mark

    async def give_up(self, mark: str) -> None:
        """Cancel a seat and wait, not for long, until it is gone; a session goes on in any case."""
        monitor = self._cluster.monitor
        job = self._seat(mark)
        if job is None or job.ended or not await self._end(job, "a session of its plan starts"):
            return
        try:
            async with asyncio.timeout(GIVEN_IN):
                with monitor.hurried():
                    while (job := monitor.find(mark, job.uid)) is not None and not job.ended:
                        await monitor.fresh()
        except TimeoutError:
            self._log.warning("The seat %s is not gone yet; the session is submitted behind it", mark)

    async def _to_give(self, kind: Kind, nodes: list[Node]) -> Job | None:
        closed = await self._cluster.closed_nodes()
        taken = {claim.seat for claim in self._cluster.claims.values()}
        seats = [job for job in self.held() if job.mark not in taken]
        return books.to_give(seats, kind, self._partition(kind.pair.key, nodes), nodes, closed)

    def _partition(self, key: Key, nodes: list[Node]) -> str:
        """The partition of a pair's sessions."""
        return self._pairs[key].resources.partition or self._cluster.partition or default_of(nodes)

    def _room(self, nodes: list[Node], partition: str, pair: WarmPair) -> int:
        """How many jobs of a pair's size would start there at once."""
        able = [
            node
            for node in nodes
            if partition in node.partitions
            and node.open
            and partition not in node.closed_partitions
            and could_ever(node, pair.resources)
            and not (self._cluster.closed and self._cluster.closed(node.name) is not None)
        ]
        return how_many(able, pair.resources)

    # A turn of the monitor -----------------------------------------------------------------------------
    def turned(self) -> None:
        """The monitor has looked, and was answered: begin what there is to do, if anything is."""
        if not self._told or (self._task is not None and not self._task.done()):
            return
        monitor = self._cluster.monitor
        for mark, since in list(self._gone.items()):
            # Kept though the seat is over: its session may still wait for the scheduler's next turn.
            if monitor.as_of > since and time.monotonic() - since > SOON:
                del self._gone[mark]
        if self._pairs or self.held():
            self._task = self._cluster.keep(self._tend())

    async def _tend(self) -> None:
        if time.monotonic() - self._looked_at >= LOOKED:
            await self._look()
        for seat in books.surplus(self.held(), self._kinds, self._wanted):
            await self._end(seat, "it is not wanted any more")
        for seat in self.held():
            if seat.waiting and self._stands_long(seat):
                self._pause(self._key(seat), "it finds no room")
                await self._end(seat, "it has not begun")
        try:
            await self._give_way()
            await self._make()
        except SlurmSilent as error:
            self._log.debug("Seats are left as they are: %s", error)
        self._tell()

    async def _look(self) -> None:
        """Which kinds there are, and how many of each there should be."""
        self._looked_at, now = time.monotonic(), datetime.now(UTC)
        pairs = list(self._pairs.values())
        kinds = await asyncio.to_thread(lambda: [kind_of(pair, self._cluster) for pair in pairs])
        self._kinds = {kind.pair.key: kind for kind in kinds}
        busiest = {key: self._starts.busiest(key, now) for key in self._kinds}
        one_each = dict.fromkeys(self._kinds, 1)
        self._wanted = to_keep(busiest, one_each, self._cluster.seats, self._cluster.seats_most)

    async def _give_way(self) -> None:
        """Give seats to sessions of theirs that wait for room, and then to whatever else does."""
        cluster, others = self._cluster, []
        for job in cluster.monitor.jobs.values():
            if not books.waits_for_room(job) or (is_of(job.mark, cluster.hub_id) and self.owns(job)):
                continue
            claim = cluster.claims.get(job.mark)
            # Somebody's own job with another session's mark is not that session.
            if claim is None or job.uid != claim.person.get("uid") or not await self._gives(claim):
                others.append(job)
        nodes = await cluster.monitor.nodes() if others else []
        partitions = {kind.job["partition"] or default_of(nodes) for kind in self._kinds.values()}
        if not (others := books.sharing(others, partitions, nodes)):
            self._waited = 0
            return
        self._rests_until = time.monotonic() + REST
        way = books.in_the_way(self.held(), others, nodes)
        # As many as there are jobs, and twice as many at each look that finds jobs waiting still.
        for seat in way[: sum(job.tasks for job in others) << min(self._waited, 10)]:
            await self._end(seat, "jobs wait for room")
        self._waited += 1

    async def _gives(self, claim: Claim) -> bool:
        """Whether a session that waits is about to have a seat's room; each is given one, once."""
        if claim.pair not in self._kinds:
            return False
        if not claim.seat:
            found = await self._to_give(self._kinds[claim.pair], await self._cluster.monitor.nodes())
            if found is None:
                return False
            self._gone[found.mark] = time.monotonic()
            claim.given(found.mark)
        seat = self._seat(claim.seat)
        if seat is not None and not seat.ended:
            # Also one that a hub had chosen which was killed before it gave it up.
            return await self._end(seat, "a session of its plan waits")
        return time.monotonic() - self._gone.get(claim.seat, -SOON) < SOON

    async def _make(self) -> None:
        """One seat, where there is room, nobody waits, and the nodes were looked at since the last."""
        now, monitor = time.monotonic(), self._cluster.monitor
        if now < self._rests_until or monitor.as_of <= self._made_at:
            return
        # The room that a session is on its way to, perhaps that of its seat, is free for a moment.
        claims = self._cluster.claims.items()
        jobs = [monitor.find(mark, claim.person.get("uid", -1)) for mark, claim in claims]
        if any(job is None or job.waiting for job in jobs):
            return
        for kind in books.lacking(self.held(), self._kinds, self._wanted):
            if now < self._pauses.get(kind.pair.key, (0.0, 0.0))[0]:
                continue
            nodes = await self._cluster.monitor.nodes()
            partition = kind.job["partition"] or default_of(nodes)
            if nodes is self._made_by or not self._room(nodes, partition, kind.pair):
                continue
            self._made_by = nodes
            await self._submit(kind)
            return

    async def _submit(self, kind: Kind) -> None:
        mark, closed = kind.new_mark(self._cluster.hub_id), await self._cluster.closed_nodes()
        job = kind.job | ({"exclude": closed} if closed else {})
        try:
            number = await self._cluster.launch.hold(self.person, mark, job, kind.image)
        except (LauncherRefused, LauncherSilent) as error:
            self._pause(kind.pair.key, str(error))
            return
        self._made_at = time.monotonic()
        self._log.info("Job %d holds a seat for %s/%s", number, *kind.pair.key)
        self._cluster.monitor.look_soon()

    async def _end(self, seat: Job, why: str) -> bool:
        """Cancel one; whether Slurm took that."""
        try:
            await self._cluster.launch.cancel(self.person, seat.id)
        except (LauncherRefused, LauncherSilent) as error:
            self._log.warning("The seat of job %d cannot be given up: %s", seat.id, error)
            return False
        self._log.info("The seat of job %d is given up: %s", seat.id, why)
        self._gone[seat.mark] = time.monotonic()
        self._cluster.monitor.look_soon()
        return True

    def _stands_long(self, seat: Job) -> bool:
        return seat.submitted is not None and (datetime.now(UTC) - seat.submitted).total_seconds() > PATIENCE

    def _key(self, seat: Job) -> Key | None:
        return next((key for key, some in books.by_kind([seat], self._kinds).items() if some), None)

    def _pause(self, key: Key | None, words: str) -> None:
        if key is None:
            return
        pause = min(LONGEST_PAUSE, 2 * self._pauses.get(key, (0.0, 0.0))[1] or FIRST_PAUSE)
        self._pauses[key] = time.monotonic() + pause, pause
        self._log.warning("A seat for %s: %s; tried again in %g s", "/".join(key), words, pause)

    def _tell(self) -> None:
        there = books.by_kind(self.held(), self._kinds)
        for key in self._pairs:
            meters.SEATS.labels(*key).set(len(there.get(key, ())))
            if any(seat.state == "RUNNING" for seat in there.get(key, ())):
                self._pauses.pop(key, None)


def _account(name: str) -> dict[str, Any] | None:
    """The service account, as every request to the launcher names it."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return {"username": name, "uid": found.pw_uid, "gid": found.pw_gid, "home": found.pw_dir}
