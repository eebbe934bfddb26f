"""A session's backend, which a restarted hub makes when it is first asked for.

To make those of thousands before the first answer would keep everybody waiting. Where a backend ends what
nobody has claimed (`found_at_once`), they are made before all the same.
"""

from __future__ import annotations

import asyncio

from jupyterhub.spawner import Spawner


class HasChild:
    """Mixed into `VisaSpawner`."""

    def _get_ready_to_find(self) -> None:
        self._child: Spawner | None = None
        self._to_be_found = self._lost = False

    def _know_again(self) -> None:
        """There may be something at the backend, which an earlier hub process left."""
        self._to_be_found = bool(self.kept.phase)
        # One that was starting may have taken a container that waits: nobody else must be given that before
        # it has said so.
        if self.kept.phase == "starting" or (self.kept.phase and self._claims_at_once()):
            _ = self.child_spawner

    def _claims_at_once(self) -> bool:
        try:
            return self.site.backend(self.kept.backend).found_at_once
        except (LookupError, ImportError):
            return True

    @property
    def child_spawner(self) -> Spawner | None:
        """The backend that the session is at, None where there is nothing.

        One that cannot be made leaves the session unknown.
        """
        if self._to_be_found:
            self._to_be_found = False
            try:
                self.construct_child()
            except Exception:
                self._lost = True
                self.log.exception("%s: its backend %r cannot be loaded", self._log_name, self.kept.backend)
        return self._child

    @child_spawner.setter
    def child_spawner(self, child: Spawner | None) -> None:
        self._child, self._to_be_found = child, False

    async def _find(self) -> None:
        """Make it where it is not; one session's at a time, and what else the hub has to do between them."""
        if self._to_be_found:
            async with self.user.settings.setdefault("visa_found", asyncio.Lock()):
                _ = self.child_spawner
                await asyncio.sleep(0)
