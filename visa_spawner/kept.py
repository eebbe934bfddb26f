"""What the hub's database keeps of a session, so that a hub that was killed finds everything again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .authorise import Accepted
from .session import State

log = logging.getLogger(__name__)


class Outcome(BaseModel):
    """How a session ended, in words for its owner. `log` is for staff."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State
    words: str
    since: datetime = Field(default_factory=lambda: datetime.now(UTC))
    log: tuple[str, ...] = ()


class Kept(BaseModel):
    """One session.

    `phase` is empty unless something may exist at the backend: `starting` until the session has said that
    it listens, then `running`. `token` is the database id of the session's own API token, never the token.
    `url` is where its server was last reached. `options`, the titles and the hours describe the last start
    that was granted and stay after the end, as `outcome` does.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Literal["", "starting", "running"] = ""
    backend: str = ""
    token: int | None = None
    port: int = 0
    url: str = ""
    started: datetime | None = None
    ends: datetime | None = None
    options: dict[str, Any] = {}
    profile_title: str = ""
    plan_title: str = ""
    lifetime_hours: float = 0
    idle_hours: float | None = None
    outcome: Outcome | None = None

    @classmethod
    def read(cls, state: dict | None) -> Kept:
        """From a spawner's state in the database; what cannot be read is logged and taken as empty."""
        try:
            return cls.model_validate((state or {}).get("visa", {}))
        except ValidationError as error:
            log.error("a session's kept state cannot be read: %s", error)
            return cls()

    @classmethod
    def granted(cls, accepted: Accepted) -> Kept:
        """A start that was granted and has not begun."""
        return cls(
            options=accepted.request.model_dump(mode="json", exclude_none=True),
            backend=accepted.plan.backend,
            profile_title=accepted.profile.title,
            plan_title=accepted.plan.title,
            lifetime_hours=accepted.lifetime_hours,
            idle_hours=accepted.profile.lifetime.idle_hours,
        )

    def begun(self, token: int | None) -> Kept:
        """From here on something may exist at the backend; the session's time runs."""
        now = datetime.now(UTC)
        ends = now + timedelta(hours=self.lifetime_hours)
        return self.but(phase="starting", token=token, started=now, ends=ends, outcome=None)

    def ended(self, outcome: Outcome | None) -> Kept:
        """Nothing is left at the backend."""
        nothing = {"phase": "", "token": None, "port": 0, "url": "", "started": None, "ends": None}
        return self.but(outcome=outcome or self.outcome, **nothing)

    def but(self, **changes) -> Kept:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)
