"""What the session is told about itself, with the data that it has by now: they come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .contract import ExperimentInfo, SessionInfo


class LiveInfo:
    """Reads as the `SessionInfo` that holds now; one for a session's server, shared by all of its parts.

    `watch` takes what is called, without arguments, after the experiments have changed.
    """

    def __init__(self, info: SessionInfo):
        self._info = info
        self._watchers: list[Callable[[], None]] = []

    def __getattr__(self, name: str):
        return getattr(self._info, name)

    def watch(self, called: Callable[[], None]) -> None:
        """Have it called after each change, on the server's event loop."""
        self._watchers.append(called)

    def follow(self, experiments: tuple[ExperimentInfo, ...] | None) -> None:
        """Take what the hub says that the session has; None: it says nothing of it."""
        if experiments is None or experiments == self._info.experiments:
            return
        self._info = replace(self._info, experiments=experiments)
        for called in self._watchers:
            called()
