"""How many containers of each pair of profile and plan should wait, from the starts of the last week.

Pure: times and numbers in, numbers out. People start by the clock, and courses start together: as many wait
as were started within the busiest minute of the last hour, or of the hour around this time on one of the last
days. A minute, since within that one that was taken is replaced, also on a busy node.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

Pair = TypeVar("Pair", bound=Hashable)

#: How far back starts are looked at.
REMEMBERED = timedelta(days=7)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Starts:
    """When sessions of each pair were started; times in UTC."""

    def __init__(self, known: Iterable[tuple[Hashable, datetime]] = ()) -> None:
        self._at: dict[Hashable, list[datetime]] = defaultdict(list)
        for pair, when in known:
            self.note(pair, when)

    def note(self, pair: Hashable, when: datetime) -> None:
        """One more start; what is too old to count goes."""
        times = self._at[pair]
        insort(times, when)
        del times[: bisect_left(times, times[-1] - REMEMBERED - HOUR)]

    def busiest(self, pair: Hashable, now: datetime) -> int:
        """The most starts of the pair within a minute, in the hours that tell of this one."""
        times = self._at.get(pair, [])
        return max(_busiest(times, end - HOUR, end) for end in _hours(now))


def _hours(now: datetime) -> list[datetime]:
    """The ends of the hours that tell of this one: the last, and those around this time on earlier days."""
    days = (timedelta(days=number) for number in range(1, REMEMBERED.days + 1))
    return [now, *(now - day + HOUR / 2 for day in days)]


def _busiest(times: list[datetime], since: datetime, until: datetime) -> int:
    first, end = bisect_right(times, since), bisect_right(times, until)
    most = begin = 0
    for number in range(first, end):
        begin = max(begin, first)
        while times[number] - times[begin] >= MINUTE:
            begin += 1
        most = max(most, number - begin + 1)
    return most


def to_keep(
    busiest: Mapping[Pair, int], sizes: Mapping[Pair, int], memory: int, most: int
) -> dict[Pair, int]:
    """How many of each pair should wait on a node.

    `sizes` are bytes of one that waits, `memory` what all may take together, `most` how many of one pair. One
    of each comes first, those that are started most before the others; then they share what is left by how
    often they are started, until each has its busiest minute's.
    """
    kept = dict.fromkeys(busiest, 0)
    left, wanting = memory, sorted(busiest, key=str)
    while wanting:
        pair = max(wanting, key=lambda one: (kept[one] == 0, busiest[one] / (kept[one] + 1)))
        if sizes[pair] > left or kept[pair] >= min(most, max(1, busiest[pair])):
            wanting.remove(pair)
            continue
        kept[pair] += 1
        left -= sizes[pair]
    return kept
