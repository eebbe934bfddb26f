"""A running session that is given more time, by its owner, up to what its profile and plan allow in all."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta

from .. import words
from ..asked.authorise import longest_hours
from ..session import StartRefused

#: Seconds by which a backend's own end may differ from what it was asked for: clusters count in minutes.
CLOSE = 1.0


class Extending:
    """Mixed into `VisaSpawner`."""

    def follow_end(self) -> None:
        """Believe the backend, where it will end the session sooner than was thought."""
        real = self.child_spawner.ends() if self.child_spawner else None
        if real and self.kept.ends and (self.kept.ends - real).total_seconds() > CLOSE:
            self._kept = self.kept.but(ends=real)
            self.remember()

    async def extend(self, hours: float) -> datetime:
        """Have the session end so many hours later; gives the new end.

        Raises StartRefused in words, naming the field, when it does not run, may not last that long, or its
        backend does not agree.
        """
        async with self._extending:
            until = self._may_last_until(hours)
            try:
                given = await self.child_spawner.extend(until)
            except StartRefused as error:
                refused = StartRefused(error.words, field=error.field or "hours", status=error.status)
                raise refused from error
            except Exception as error:
                self.log.exception("%s: could not be extended", self._log_name)
                said = "could not be added, for a reason that the facility's staff can find in the log"
                raise StartRefused(said, field="hours", status=503) from error
            if self.kept.phase != "running":
                raise _not_running()
            ends = min(until, given)
            lasts = (ends - self.kept.runs_since).total_seconds() / 3600
            self._kept = self.kept.but(ends=ends, lifetime_hours=round(lasts, 2))
            self.remember()
            return ends

    @property
    def may_extend(self) -> float:
        """By how many hours its owner may extend it now; 0 where they may not."""
        try:
            return math.floor(100 * self._hours_left()[1] + 1e-6) / 100
        except StartRefused:
            return 0

    def _hours_left(self) -> tuple[float, float]:
        """How many hours it may last in all, and how many of them could be added."""
        kept = self.kept
        if kept.phase != "running" or not self.ready or self.put_back or not kept.ends:
            raise _not_running()
        profile = self.site.profiles.get(kept.options.get("profile", ""))
        plan = profile and profile.plans.get(kept.options.get("plan", ""))
        if plan is None:
            raise StartRefused(
                "its plan is not offered any more, so none can be added", field="hours", status=409
            )
        most = longest_hours(profile, plan)
        left = kept.runs_since + timedelta(hours=most) - kept.ends
        return most, max(0.0, left.total_seconds() / 3600)

    def _may_last_until(self, hours: float) -> datetime:
        most, left = self._hours_left()
        if (hours - left) * 3600 > CLOSE:
            said = f"this session may last {words.hours(most)} in all"
            said += (
                f", which leaves {words.hours(round(left, 2))} to add"
                if left * 3600 > 60
                else " and does so already"
            )
            raise StartRefused(said, field="hours", status=409)
        return self.kept.ends + timedelta(hours=hours)

    def _get_ready_to_extend(self) -> None:
        self._extending = asyncio.Lock()


def _not_running() -> StartRefused:
    return StartRefused("it does not run at the moment", field="session", status=409)
