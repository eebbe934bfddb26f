"""One look at a node's containers per interval, shared by every session there.

What costs is the number of nodes, never the number of sessions. Silence of an engine changes nothing
that was seen before: unknown is not dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from .engine import Engine, EngineRefused, EngineSilent
from .looking import Regular

#: Label that every container of a session carries, with the hub's id as its value.
HUB_LABEL = "visa.hub"


@dataclass(frozen=True)
class Seen:
    """A container as its engine's list has it; `state` is the engine's own word."""

    name: str
    id: str
    state: str
    labels: dict[str, str]
    #: The id of its image; "" where the engine does not say.
    image: str = ""

    @property
    def alive(self) -> bool:
        """Whether its process runs, as far as the list tells."""
        return self.state in ("running", "paused", "restarting", "stopping", "removing")

    @property
    def paused(self) -> bool:
        """Whether its processes are there and stand still."""
        return self.state == "paused"

    @property
    def ended(self) -> bool:
        """Whether its process has run and ended."""
        return self.state in ("exited", "dead", "stopped")


class Watch(Regular):
    """The list of one node's session containers, kept up by a task of its own; `seen` is the last one."""

    hurried_interval = 0.25

    def __init__(
        self,
        engine: Engine,
        changed: Callable[[Watch], None],
        *,
        busy: Callable[[], bool],
        interval: float,
        idle_interval: float,
        log: logging.Logger,
    ):
        self.engine, self.node = engine, engine.node
        self.seen: dict[str, Seen] = {}
        self._changed, self._log = changed, log
        name = f"watch {self.node.name}"
        super().__init__(busy, interval=interval, idle_interval=idle_interval, name=name)

    async def _look(self) -> None:
        asked = time.monotonic()
        try:
            listed = await self.engine.list_sessions(HUB_LABEL)
            seen = [
                Seen(
                    name.lstrip("/"),
                    item["Id"],
                    str(item.get("State", "")).lower(),
                    item.get("Labels") or {},
                    str(item.get("ImageID") or "").removeprefix("sha256:"),
                )
                for item in listed
                for name in (item.get("Names") or [])[:1]
            ]
        except (EngineSilent, EngineRefused, KeyError, TypeError) as error:
            if self._answers(False):
                self._log.warning("The engine of node %s does not answer: %s", self.node.name, error)
        else:
            if self._answers(True):
                self._log.info("The engine of node %s answers", self.node.name)
            self.seen, self.as_of = {one.name: one for one in seen}, asked
        try:
            self._changed(self)
        except Exception:
            # The watch must outlive a fault in what follows it, or every session here would look the same
            # for ever.
            self._log.exception("Following the list of node %s failed", self.node.name)
