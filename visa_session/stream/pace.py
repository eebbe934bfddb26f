"""How many pictures a second are made: no more than whoever works with them can show.

A browser that decodes in software, or a computer that does something else as well, falls behind what an
encoder makes, and what falls behind is shown late. So each page says what it takes. There is one encoder for
all: it goes by the slowest of those who may act; who only watches is heard while nobody else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

#: Pictures a second that nobody's word goes below.
LEAST = 10


class Pace:
    """The pictures a second of one stream; `tell(rate)` hears of each change."""

    def __init__(self, most: int, tell: Callable[[int], None]):
        self.most, self.rate, self._tell = most, most, tell
        self._taken: dict[Hashable, tuple[bool, int]] = {}

    def comes(self, who: Hashable, acts: bool) -> None:
        """A page of somebody who may act, or only watches: it takes all until it says less."""
        self._taken[who] = acts, self.most
        self._settle()

    def takes(self, who: Hashable, rate: int) -> None:
        """The word of a page that has come: so many a second."""
        if who in self._taken:
            self._taken[who] = self._taken[who][0], max(LEAST, rate)
            self._settle()

    def gone(self, who: Hashable) -> None:
        """Its word counts no more."""
        if self._taken.pop(who, None) is not None:
            self._settle()

    def _settle(self) -> None:
        said = self._taken.values()
        counts = [rate for acts, rate in said if acts] or [rate for _, rate in said]
        rate = min([self.most, *counts])
        if rate != self.rate:
            self.rate = rate
            self._tell(rate)
