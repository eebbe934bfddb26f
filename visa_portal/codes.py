"""The codes of links just made, kept between the click and the page that shows them once."""

from __future__ import annotations

import time

from .models_sharing import Link

#: How long a code waits for its page, in seconds, and how many do at most.
KEEP_SECONDS, KEEP_MOST = 120, 1000


class Codes:
    """In memory alone: a code is in no address, no cookie and no log."""

    def __init__(self):
        self._kept: dict[tuple[str, str, int], tuple[float, Link]] = {}

    def put(self, owner: str, name: str, link: Link) -> None:
        """Keep a link for the one page that shows it."""
        now = time.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] < KEEP_SECONDS}
        while len(self._kept) >= KEEP_MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[owner, name, link.id] = (now, link)

    def take(self, owner: str, name: str, link_id: int) -> Link | None:
        """The link, once; None when it was taken already or waited too long."""
        made, link = self._kept.pop((owner, name, link_id), (0.0, None))
        return link if link is not None and time.monotonic() - made < KEEP_SECONDS else None
