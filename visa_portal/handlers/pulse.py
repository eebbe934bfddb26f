"""What an open page is told by: a call that is held until something of its person's has changed."""

from __future__ import annotations

import asyncio

from tornado.web import Finish

from visa_session.address import address_of

from ..hub import LoginNeeded, browser
from .base import PersonHandler


class PulseHandler(PersonHandler):
    """`{"pulse": WORD}` as soon as it is another word than `after`; the hub says whose token it is."""

    is_fragment = True
    _asking: asyncio.Task | None = None

    async def prepare(self) -> None:
        browser.set(address_of(self.request, near=True))
        self.current_user = None
        if not self.token:
            raise LoginNeeded

    async def get(self) -> None:
        after = self.get_query_argument("after", "")[:100]
        self._asking = asyncio.create_task(self.site.hub.pulse(self.token, after))
        try:
            self.write({"pulse": await self._asking})
        except asyncio.CancelledError:
            raise Finish from None  # nobody is there any more

    def on_connection_close(self) -> None:
        # The hub need not hold what nobody waits for.
        if self._asking is not None:
            self._asking.cancel()


ROUTES = [("pulse", PulseHandler)]
