"""Who of the visitors is an experiment's local contact: they need no role to be shown Support."""

from __future__ import annotations

import time

from visa_catalogue import Catalogue, Query
from visa_catalogue.account import Account

#: How long an answer is believed, in seconds, and how many are kept.
KEEP_SECONDS, KEEP_MOST = 300, 5000
#: Experiments looked at in one go.
PAGE = 200


class Contacts:
    """Asks the catalogue, and remembers for a while. It decides what is shown; the hub whom they may help."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue
        self._known: dict[str, tuple[float, bool]] = {}

    async def has(self, account: Account) -> bool:
        """Whether this account is the local contact of any experiment."""
        until, answer = self._known.get(account.username, (0.0, False))
        if time.monotonic() < until:
            return answer
        answer = await self._ask(account)
        if len(self._known) >= KEEP_MOST:
            self._known.clear()
        self._known[account.username] = time.monotonic() + KEEP_SECONDS, answer
        return answer

    async def _ask(self, account: Account) -> bool:
        offset = 0
        while True:
            query = Query(scope="mine", offset=offset, limit=PAGE)
            page = await self._catalogue.search(account, query)
            if any(account.username in experiment.local_contacts for experiment in page.experiments):
                return True
            offset += len(page.experiments)
            if not page.experiments or offset >= page.total:
                return False
