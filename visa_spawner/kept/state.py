"""What the hub's database keeps of a session, so that a hub that was killed finds everything again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visa_session.contract import ExperimentInfo

from ..asked.authorise import Accepted
from ..session import State

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
    `is_to_encrypt`: it was given what it takes to serve TLS; `encrypted`: it does. `url` is where its server
    was last reached. `started` is when this run was asked for, by a person or by the backend that put it back
    into its queue; `placed` when it had its place, None where there is no queue; `running` from when its
    lifetime counts, and `ends` until when, None while that is not known.
    `data` are the experiments that the session has, as it was told of them, `home` is its person's; one in
    `adding` may be in it by now, and the id in `removing` may be out of it. `taken` are the ids of those that
    were taken away in this run, and when: what has them open still reads them. `others` are the places of the
    operator's own binds. `suspended` is when its owner had it stand still, None while it goes on. `options`,
    the titles and the hours describe the last start that was granted, with what was added since, and stay
    after the end, as `outcome` does.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Literal["", "starting", "running"] = ""
    backend: str = ""
    token: int | None = None
    port: int = 0
    is_to_encrypt: bool = False
    encrypted: bool = False
    url: str = ""
    started: datetime | None = None
    placed: datetime | None = None
    running: datetime | None = None
    ends: datetime | None = None
    options: dict[str, Any] = {}
    profile_title: str = ""
    plan_title: str = ""
    lifetime_hours: float = 0
    idle_hours: float | None = None
    outcome: Outcome | None = None
    home: str = ""
    data: tuple[ExperimentInfo, ...] = ()
    adding: ExperimentInfo | None = None
    removing: str = ""
    taken: dict[str, datetime] = {}
    others: tuple[str, ...] = ()
    suspended: datetime | None = None

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

    def begun(self, token: int | None, *, queue: bool) -> Kept:
        """From here on something may exist at the backend; without a queue the session's time runs."""
        now = datetime.now(UTC)
        ends = None if queue else now + self.lifetime
        return self.but(**_NOT_YET | {"phase": "starting", "token": token, "started": now, "ends": ends})

    def renewed(self, token: int) -> Kept:
        """The backend starts the same session anew, with this token: it waits for its place again."""
        new = {"phase": "starting", "token": token, "started": datetime.now(UTC), "url": self.url}
        new |= {"home": self.home, "data": self.data, "others": self.others}
        new |= {"is_to_encrypt": self.is_to_encrypt}
        return self.but(**_NOT_YET | new)

    def runs(self, url: str, backend_ends: datetime | None) -> Kept:
        """It listens there. What waited in a queue has its lifetime from now on, if its backend agrees."""
        running = self.started if self.ends else datetime.now(UTC)
        ends = min(self.ends or running + self.lifetime, backend_ends or datetime.max.replace(tzinfo=UTC))
        return self.but(phase="running", url=url, running=running, ends=ends)

    def ended(self, outcome: Outcome | None) -> Kept:
        """Nothing is left at the backend."""
        return self.but(**_NOT_YET | {"outcome": outcome or self.outcome})

    @property
    def runs_since(self) -> datetime | None:
        """From when its lifetime counts."""
        return self.running or self.started

    @property
    def experiments(self) -> tuple[str, ...]:
        """Ids of all experiments whose data may be in it; by the last start where it does not run."""
        known = tuple(self.options.get("experiments") or ())
        return (*known, self.adding.id) if self.adding and self.adding.id not in known else known

    @property
    def within_reach(self) -> tuple[str, ...]:
        """The same, and those that something in it may still have open."""
        known = self.experiments
        return (*known, *(one for one in self.taken if one not in known))

    @property
    def knows_data(self) -> bool:
        """Whether `data` is what it was started with: an earlier version did not keep it."""
        return [one.id for one in self.data] == list(self.options.get("experiments") or ())

    @property
    def lifetime(self) -> timedelta:
        """How long the session may run in all."""
        return timedelta(hours=self.lifetime_hours)

    def but(self, **changes) -> Kept:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)


#: What is not known before something exists at the backend, and nothing any more afterwards.
_NOT_YET = {
    "phase": "",
    "token": None,
    "port": 0,
    "is_to_encrypt": False,
    "encrypted": False,
    "url": "",
    "started": None,
    "placed": None,
    "running": None,
    "ends": None,
    "outcome": None,
    "home": "",
    "data": (),
    "adding": None,
    "removing": "",
    "taken": {},
    "others": (),
    "suspended": None,
}
