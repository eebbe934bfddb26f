"""Data added to a machine that runs, and taken away, where its provider can."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence

from ...session import Bind, StartRefused
from ..container_data import ELSEWHERE, NOT_DONE
from .provider import Refused, Stands

NOT_NOW = "its machine does not run at the moment"
EARLIER = (
    "the software in its machine is of an earlier version, to which data cannot be added later; start a new"
    " session with all that you need"
)


class ChangesData:
    """Mixed into `VMSpawner`: what `Backend` says of data that come and go."""

    def _reset_data(self) -> None:
        #: Whether the machine has said that it cannot; a hub that starts anew asks it once more.
        self._of_earlier = False

    @property
    def fixed_data(self) -> str:
        """The provider's to say, of a machine that runs; and what the machine itself has said."""
        return self._why_not_now or (EARLIER if self._of_earlier else "")

    @property
    def _why_not_now(self) -> str:
        if not self.machines.make.can_change_data:
            return ELSEWHERE
        found = self._machine
        runs = found is not None and found.stands is Stands.RUNNING and not found.why
        return "" if runs and not self._half and self._moving is None else NOT_NOW

    async def add_data(
        self, binds: Sequence[Bind], links: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Mount them; what is refused leaves the machine as it was."""
        await self._change(self.machines.make.add_data(self.machine_name, binds, links, texts))

    async def remove_data(
        self, targets: Sequence[str], links: Sequence[str], texts: Mapping[str, str]
    ) -> None:
        """Take them away; a machine that is gone has none."""
        await self._change(self.machines.make.remove_data(self.machine_name, targets, links, texts))

    async def _change(self, work: Coroutine) -> None:
        # Also of a machine that can have no more: what was begun before it said so is taken back.
        if words := self._why_not_now:
            work.close()
            raise StartRefused(words, field="session", status=409)
        try:
            await work
        except Refused as error:
            self.log.error("Data of %s on %s: %s", self.session_key, self.machine_name, error)
            if error.reason == "earlier":
                self._of_earlier = True
                raise StartRefused(EARLIER, field="session", status=409) from error
            raise StartRefused(NOT_DONE, field="session", status=503) from error
