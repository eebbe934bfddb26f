"""Data added to a container that runs, and taken away: by the hands, on the hub's own machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..session import Bind, StartRefused
from .engine import EngineRefused, EngineSilent
from .hands.client import Hands, HandsRefused, possible_on

#: The one pair of hands: they share the room for requests.
_hands = Hands()

ELSEWHERE = (
    "it runs on a machine where data cannot be added later; start a new session with all that you need"
)
NO_ANSWER = "its machine does not answer; nothing was changed. Try again in a minute"
NOT_DONE = "its data cannot be changed at the moment; the facility's staff can find out why"


class ChangesData:
    """Mixed into the container backend: what `Backend` says of data that come and go."""

    @property
    def fixed_data(self) -> str:
        """Only the hub's own machine can be reached into, by a hub that is root."""
        node = self.fleet.by_name.get(self.node_name)
        return "" if node is not None and possible_on(node) else ELSEWHERE

    async def add_data(
        self, binds: Sequence[Bind], links: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Mount them; what the hands refuse leaves the container as it was."""
        pid, container = await self._first_process()
        try:
            await _hands.bind(pid, binds, links, container=container, texts=texts)
        except HandsRefused as error:
            raise self._not_done(error) from error

    async def remove_data(
        self, targets: Sequence[str], links: Sequence[str], texts: Mapping[str, str]
    ) -> None:
        """Take them away; a container that is gone has none."""
        pid, container = await self._first_process()
        try:
            await _hands.unbind(pid, targets, links, container=container, texts=texts)
        except HandsRefused as error:
            raise self._not_done(error) from error

    async def _first_process(self) -> tuple[int, str]:
        if self.fixed_data:
            raise StartRefused(self.fixed_data, field="session", status=409)
        try:
            found = await self.docker("inspect_container", self.object_name)
        except (EngineSilent, EngineRefused) as error:
            self.log.warning("Data of %s are not changed: %s", self.session_key, error)
            raise StartRefused(NO_ANSWER, field="session", status=503) from error
        return int(found["State"]["Pid"]), found["Id"]

    def _not_done(self, error: HandsRefused) -> StartRefused:
        self.log.error("Data of %s on node %s: %s", self.session_key, self.node_name, error)
        return StartRefused(NOT_DONE, field="session", status=503)
