"""The books of waiting containers: which wait where, how many should, and who takes one. No engine, no await.

Looking and taking are one step, so that two starts never get the same one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from ...session import WarmPair
from ..placement import Placement
from . import meters
from .container import Kind, Waiting
from .demand import Starts, to_keep
from .spec import GUESS, taken_waiting

log = logging.getLogger(__name__)

Key = tuple[str, str]

#: Seconds for which the number that should wait holds, unless a session starts.
COUNTED = 60.0


class Pool:
    """Waiting containers by name; `memory` is what those of one node may take, `most` how many of a pair."""

    def __init__(self, placement: Placement, memory: int, most: int):
        self.placement, self.memory, self.most = placement, memory, most
        self.pairs: dict[Key, WarmPair] = {}
        self.starts = Starts()
        self.waiting: dict[str, Waiting] = {}
        #: Names of those being made or looked at.
        self.working: set[str] = set()
        #: Names that were taken or are being removed, where and since when: an older look may list them yet.
        self.past: dict[str, tuple[str, float]] = {}
        self._sizes: dict[str, int] = {}
        self._busiest: dict[Key, int] = {}
        self._counted = -COUNTED

    def knows(self, name: str) -> bool:
        """Whether it is in these books, or was a moment ago."""
        return name in self.waiting or name in self.working or name in self.past

    def here(self, node: str) -> list[Waiting]:
        """Those that wait on a node, the longest first."""
        return sorted((one for one in self.waiting.values() if one.node == node), key=lambda one: one.since)

    def asked(self, key: Key) -> None:
        """A session of the pair starts."""
        self.starts.note(key, datetime.now(UTC))
        self._counted = -COUNTED

    # In and out --------------------------------------------------------------------------------------
    def add(self, one: Waiting) -> None:
        """It waits from now on."""
        self.working.discard(one.name)
        self.waiting[one.name] = one
        digest = one.image.digest
        self._sizes[digest] = max(one.memory, self._sizes.get(digest, 0))
        self.placement.wait(one.name, taken_waiting(one.node, one.memory))
        self._tell(one.node)

    def take(self, node: str, key: Key, mark: str) -> Waiting | None:
        """The one that waits longest of the pair, made as a new one would be; None where there is none.

        It is out of the books, and in nobody's way: what it takes counts as the session's from here on.
        """
        for one in self.here(node):
            if one.key == key and one.mark == mark and one.is_nobodys:
                self._out(one)
                self.placement.release(one.name)
                return one
        return None

    def give_back(self, one: Waiting) -> None:
        """It was taken, and nothing was done to it."""
        self.past.pop(one.name, None)
        self.add(one)

    def remove(self, one: Waiting) -> None:
        """It is being removed: its room is free when it is gone."""
        self._out(one)
        self.placement.wait_no_more(one.name)

    def _out(self, one: Waiting) -> None:
        self.waiting.pop(one.name, None)
        self.past[one.name] = one.node, time.monotonic()
        self._tell(one.node)

    def forget(self, listed: Collection[str], as_of: float, node: str) -> None:
        """Drop the names that a later look at their node no longer lists."""
        for name, (where, since) in list(self.past.items()):
            if where == node and since < as_of and name not in listed:
                del self.past[name]

    def not_taken(self, name: str) -> None:
        """It kept its name, and is nobody's still: the next look takes it for one that is found."""
        self.past.pop(name, None)

    # How many ----------------------------------------------------------------------------------------
    def size(self, kind: Kind) -> int:
        """Bytes that one takes, by what those of its image took."""
        return self._sizes.get(kind.image.digest, GUESS)

    def wanted(self, kinds: Mapping[Key, Kind]) -> dict[Key, int]:
        """How many of each pair should wait on a node that can make these kinds."""
        if time.monotonic() - self._counted >= COUNTED:
            now = datetime.now(UTC)
            self._busiest = {key: self.starts.busiest(key, now) for key in self.pairs}
            self._counted = time.monotonic()
        sizes = {key: self.size(kind) for key, kind in kinds.items()}
        return to_keep({key: self._busiest.get(key, 0) for key in kinds}, sizes, self.memory, self.most)

    def lacking(self, node: str, kinds: Mapping[Key, Kind]) -> list[Kind]:
        """The kinds of which one more should wait and has room, the one that lacks most first."""
        wanted = self.wanted(kinds)
        there = Counter(one.key for one in self.here(node))
        short = [key for key in kinds if there[key] < wanted[key]]
        left = min(self.memory - self.placement.memory_waiting(node), self.placement.spare(node))
        return [
            kinds[key]
            for key in sorted(short, key=lambda key: (there[key] / wanted[key], key))
            if self.size(kinds[key]) <= left
        ]

    def surplus(self, node: str, kinds: Mapping[Key, Kind]) -> list[Waiting]:
        """Those that should go: not what a new one would be, or more than should wait; the oldest first."""
        wanted, there = self.wanted(kinds), Counter()
        gone = []
        for one in reversed(self.here(node)):
            kind = kinds.get(one.key)
            if kind is None or kind.mark != one.mark or there[one.key] >= wanted[one.key]:
                gone.append(one)
            else:
                there[one.key] += 1
        return gone

    def squeezed(self, node: str) -> list[Waiting]:
        """Those that must go, so that sessions have the room they were given: the newest of the most."""
        over, here, gone = -self.placement.spare(node), self.here(node), []
        while over > 0 and here:
            most = Counter(one.key for one in here).most_common(1)[0][0]
            one = next(one for one in reversed(here) if one.key == most)
            here.remove(one)
            gone.append(one)
            over -= one.memory
        return gone

    def _tell(self, node: str) -> None:
        here = Counter(one.key for one in self.waiting.values() if one.node == node)
        for profile, plan in self.pairs:
            meters.WAITING.labels(node, profile, plan).set(here[profile, plan])
        meters.MEMORY.labels(node).set(self.placement.memory_waiting(node))
