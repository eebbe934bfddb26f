"""What the hub answers, and what a person sends, as checked values.

The hub's answers ignore keys this version does not know, so that the hub may be upgraded first. What a
person sends is refused when it holds anything unknown.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from visa_catalogue.model import ExperimentId

#: A session's name: what JupyterHub 6 accepts for a server (`jupyterhub.slugs.is_valid_safe_slug`).
SessionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=30)]
#: A profile's or plan's name; the hub knows which exist.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Answer(BaseModel):
    """Something the hub answered."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Free(Answer):
    """What a plan could start now: how many sessions, and a sentence about it.

    With a `queue` it may be started without room, and waits; `expected` is when it would begin (UTC). Without
    its software `prepared` nothing starts, nor waits.
    """

    sessions: int = 0
    words: str = ""
    queue: bool = False
    expected: datetime | None = None
    prepared: bool = True


class Plan(Answer):
    """Hardware a profile offers; `memory` in bytes, `hours` the longest life where the backend has one."""

    name: str
    title: str = ""
    backend: str = "container"
    cpus: float = 0
    memory: int = 0
    gpus: int = 0
    gpu_type: str = ""
    disk: int | str | None = None
    hours: float | None = None
    free: Free | None = None

    @field_validator("gpu_type", mode="before")
    @classmethod
    def _none_is_any(cls, value):
        return value or ""

    @property
    def has_room(self) -> bool:
        """Whether it would start at once; a plan nobody counts is taken to have room."""
        return self.free is None or self.free.sessions > 0

    @property
    def prepared(self) -> bool:
        """Whether its software is there, as far as anybody says."""
        return self.free is None or self.free.prepared

    @property
    def waits(self) -> bool:
        """Whether it would wait in a queue first."""
        return not self.has_room and self.free is not None and self.free.queue


class Suits(Answer):
    """What a profile is made for; all empty: any work."""

    instruments: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()


class Licence(Answer):
    """What whoever uses a piece of software must know."""

    software: str
    note: str


class Lifetime(Answer):
    """How long a session of a profile lives, in hours."""

    default_hours: float = 8
    max_hours: float = 24
    idle_hours: float | None = None


class Profile(Answer):
    """An environment for a kind of work, with the plans it may run on."""

    name: str
    title: str = ""
    summary: str = ""
    audience: str = ""
    help: str = ""
    licences: tuple[Licence, ...] = ()
    revision: str = ""
    suits: Suits = Field(default_factory=Suits)
    applications: tuple[str, ...] = ()
    lifetime: Lifetime = Field(default_factory=Lifetime)
    plans: tuple[Plan, ...] = ()


class Options(Answer):
    """What an account may start."""

    profiles: tuple[Profile, ...] = ()
    home_only: bool = False
    max_sessions: int | None = None


class Used(Answer):
    """A profile that somebody has worked with on an experiment: `by` is `you` or `team`; `when` in UTC."""

    experiment: str
    profile: str
    plan: str = ""
    by: str = "team"
    when: datetime


class Session(Answer):
    """One session as its owner sees it; times are in UTC.

    `queued`: it stands in a queue, and `words` say where. `may_extend` is by how many hours its owner may
    extend it now; `why_not_added` says why no data can be added to it now, "" where they can, None where it
    does not run; `may_suspend` and `may_resume` whether it can stand still or go on now; `image` the digest
    of the very image that was asked for, empty where none was.
    """

    owner: str
    name: str
    title: str = ""
    experiments: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    profile: str = ""
    profile_title: str = ""
    plan: str = ""
    plan_title: str = ""
    interface: str = "lab"
    screen: str = ""
    keyboard: str = ""
    lifetime_hours: float | None = None
    state: str = "stopped"
    words: str = ""
    since: datetime | None = None
    started: datetime | None = None
    ends: datetime | None = None
    ready: bool = False
    url: str = ""
    pending: str | None = None
    queued: bool = False
    may_extend: float = 0
    why_not_added: str | None = None
    may_suspend: bool = False
    may_resume: bool = False
    image: str = ""
    log: tuple[str, ...] = ()

    @field_validator("log", mode="before")
    @classmethod
    def _lines(cls, value):
        return value.splitlines() if isinstance(value, str) else value or ()

    @field_validator("profile", "profile_title", "plan", "plan_title", "words", "url", "image", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return value or ""


class StartForm(BaseModel):
    """The form of "New session", as sent. Whether it may start is the hub's to say.

    `plans` and `lifetimes` hold the choice made below each profile, since every profile has its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SessionName
    title: str = Field(default="", max_length=255)
    experiments: tuple[ExperimentId, ...] = Field(default=(), max_length=20)
    datasets: tuple[str, ...] = Field(default=(), max_length=200)
    profile: Name
    plan: Name
    interface: Literal["desktop", "lab"] = "lab"
    screen: str = Field(default="1920x1080", pattern=r"^[1-9][0-9]{2,3}x[1-9][0-9]{2,3}$")
    keyboard: str = Field(default="us", pattern=r"^[a-z]{2,8}$")
    lifetime_hours: float | None = Field(default=None, gt=0, le=24 * 366, allow_inf_nan=False)
    image: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")

    def user_options(self) -> dict:
        """The `user_options` of the hub's start call."""
        options = self.model_dump(mode="json", exclude={"name", "title", "datasets"}, exclude_none=True)
        return options | {"datasets": list(self.datasets)}


class ExtendForm(BaseModel):
    """By how many hours a session is to go on longer. Whether it may is the hub's to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: float = Field(gt=0, le=24 * 366, allow_inf_nan=False)


class DataForm(BaseModel):
    """An experiment to add to a running session, or to take away. Whether it may be is the hub's to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: ExperimentId


class FormError(ValueError):
    """A form that cannot be taken; `field` names what is wrong, `words` says how."""

    def __init__(self, field: str, words: str):
        super().__init__(f"{field}: {words}")
        self.field, self.words = field, words


#: A field sent as `NAME-PROFILE`: the choice that stands below one profile.
PER_PROFILE = re.compile(r"^(plan|lifetime|software|name)-(.+)$")
