"""Which seats there should be, and which must go: by what the monitor saw, without asking anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..queue import head, stands_in_line
from ..seen import Job, Node
from .kinds import Kind, word_of

Key = tuple[str, str]

#: Slurm's words for a job that would start, were there room.
_FOR_ROOM = ("Resources", "Priority")


def waits_for_room(job: Job) -> bool:
    """Whether room is all that a job lacks, its own or that of those before it."""
    return stands_in_line(job) and head(job.reason) in _FOR_ROOM


def by_kind(seats: Iterable[Job], kinds: Mapping[Key, Kind]) -> dict[Key, list[Job]]:
    """The seats of each pair that are what a new one would be, the longest there first."""
    words = {kind.word: key for key, kind in kinds.items()}
    found: dict[Key, list[Job]] = {key: [] for key in kinds}
    for seat in sorted(seats, key=lambda job: job.id):
        if key := words.get(word_of(seat.mark)):
            found[key].append(seat)
    return found


def surplus(seats: Sequence[Job], kinds: Mapping[Key, Kind], wanted: Mapping[Key, int]) -> list[Job]:
    """Those that are not what a new one would be, and of each pair the newest beyond what is wanted."""
    fine = by_kind(seats, kinds)
    kept = {seat.id for key, some in fine.items() for seat in some[: wanted[key]]}
    return [seat for seat in seats if seat.id not in kept]


def lacking(seats: Sequence[Job], kinds: Mapping[Key, Kind], wanted: Mapping[Key, int]) -> list[Kind]:
    """The kinds of which there should be more, the one that lacks most first."""
    there = {key: len(some) for key, some in by_kind(seats, kinds).items()}
    short = [key for key in kinds if there[key] < wanted[key]]
    return [kinds[key] for key in sorted(short, key=lambda key: (there[key] / wanted[key], key))]


def sharing(jobs: Iterable[Job], partitions: Collection[str], nodes: Iterable[Node]) -> list[Job]:
    """Those that could run on a node of one of these partitions."""
    reached = set().union(*(node.partitions for node in nodes if node.partitions & set(partitions)))
    return [job for job in jobs if reached.intersection(job.partition.split(","))]


def in_the_way(seats: Sequence[Job], waiting: Sequence[Job], nodes: Iterable[Node]) -> list[Job]:
    """The seats on whose nodes one of these jobs could run, those that do not run themselves first.

    The newest of the kind that has most go first.
    """
    partitions = {node.name: node.partitions for node in nodes}
    reached = {name for job in waiting for name in job.partition.split(",")}
    here = [seat for seat in seats if not seat.host or partitions.get(seat.host, reached) & reached]
    counts, found = Counter(word_of(seat.mark) for seat in here), []
    while here:
        seat = max(here, key=lambda seat: (not seat.host, counts[word_of(seat.mark)], seat.id))
        here.remove(seat)
        counts[word_of(seat.mark)] -= 1
        found.append(seat)
    return found


def to_give(
    seats: Iterable[Job], kind: Kind, partition: str, nodes: Iterable[Node], not_on: Collection[str] = ()
) -> Job | None:
    """The seat that a session of this kind should have: of those that run where the session may, the oldest.

    `partition` is the session's; `not_on` are nodes that an administrator has closed.
    """
    fit = {
        node.name
        for node in nodes
        if node.open
        and partition in node.partitions
        and partition not in node.closed_partitions
        and node.name not in not_on
    }
    able = [
        seat
        for seat in seats
        if word_of(seat.mark) == kind.word and seat.state == "RUNNING" and seat.host in fit
    ]
    return min(able, key=lambda seat: seat.id, default=None)
