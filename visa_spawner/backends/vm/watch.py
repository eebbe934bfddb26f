"""One look at all machines per interval, shared by every session: what costs is never their number.

Silence of the provider changes nothing that was seen before: unknown is not dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..looking import Regular
from .provider import Machine, Provider, Refused, Silent


class Watch(Regular):
    """All of a hub's machines by name, kept up by a task of its own; `seen` is the last list."""

    def __init__(
        self,
        provider: Provider,
        changed: Callable[[], None],
        *,
        interval: float,
        idle_interval: float,
        log: logging.Logger,
    ):
        self.seen: dict[str, Machine] = {}
        self._provider, self._changed, self._log = provider, changed, log
        super().__init__(lambda: True, interval=interval, idle_interval=idle_interval, name="watch machines")

    async def _look(self) -> None:
        asked = time.monotonic()
        try:
            listed = await self._provider.list()
        except (Silent, Refused) as error:
            if self._answers(False):
                self._log.warning("The provider of machines does not answer: %s", error)
        except Exception:
            # The watch must outlive a fault of a provider's, or every session would look the same for ever.
            self._log.exception("The list of machines cannot be read")
            self._answers(False)
        else:
            if self._answers(True):
                self._log.info("The provider of machines answers")
            self.seen, self.as_of = {one.name: one for one in listed}, asked
        try:
            self._changed()
        except Exception:
            self._log.exception("Following the list of machines failed")
