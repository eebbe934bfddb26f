"""What the hub tells staff, and what staff look for, as checked values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field, field_validator

from .models import Answer, Session
from .models_sharing import Member

#: How long a node may miss looks, which come a few seconds apart, before it is called silent.
LATE = timedelta(seconds=60)

#: The states a session can be looked for by.
STATES = ("starting", "running", "unknown", "suspended", "stopping", "stopped", "failed")


class Usage(Answer):
    """What a session uses: cores, and bytes of memory of those it may use."""

    cpus: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    cpu_limit: float | None = None


class Ask(Answer):
    """A request of support to join a session; `lapses` is when the owner's time to answer is over."""

    id: int
    owner: str
    name: str
    title: str = ""
    role: str = "viewer"
    message: str = ""
    state: str = "open"
    made: datetime | None = None
    lapses: datetime | None = None
    words: str = ""
    url: str = ""
    until: datetime | None = None
    staff: str = ""
    staff_full_name: str = ""
    may_second: bool = False

    @property
    def inside(self) -> bool:
        """Whether it was accepted and still holds: only then there is an address."""
        return self.state == "accepted" and bool(self.url)


class Help(Answer):
    """An owner's request for help; `staff` is who took it."""

    id: int
    owner: str
    owner_full_name: str = ""
    name: str
    title: str = ""
    instruments: tuple[str, ...] = ()
    message: str = ""
    state: str = "open"
    staff: str = ""
    staff_full_name: str = ""
    made: datetime | None = None


class Supported(Session):
    """A session as staff see it; `why` says what went wrong, or why one may not ask to join.

    `asks` are one's own requests to join it, and of colleagues those that one may second; `help` is what its
    owner asks for and nobody has closed.
    """

    owner_full_name: str = ""
    instruments: tuple[str, ...] = ()
    node: str = ""
    image: str = ""
    members: tuple[Member, ...] = ()
    may_ask: bool = False
    why: str = ""
    usage: Usage | None = None
    asks: tuple[Ask, ...] = ()
    help: tuple[Help, ...] = ()

    @field_validator("node", "image", "why", "owner_full_name", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value):
        return value or ""

    @field_validator("members", "instruments", mode="before")
    @classmethod
    def _none_are_none(cls, value):
        return value or ()


class May(Answer):
    """Whom somebody may help: everybody, or those on some instruments."""

    all: bool = False
    instruments: tuple[str, ...] = ()


class Desk(Answer):
    """All of the Support page: sessions, and whether there are more; requests for help; requests to join.

    Those are one's own, and of colleagues those that one may second.
    """

    sessions: tuple[Supported, ...] = ()
    more: bool = False
    help: tuple[Help, ...] = ()
    asks: tuple[Ask, ...] = ()
    may: May = Field(default_factory=May)


class Room(Answer):
    """Cores, bytes of memory and GPUs."""

    cpus: float = 0
    memory: int = 0
    gpus: int = 0


class Node(Room):
    """A machine that sessions run on, with what is free there.

    Drained ones get no new sessions: by an administrator, whose `words` say why, or `by_settings`. `state`
    is answers, silent or unknown, since `since`; `waiting` containers wait for a session. Of a `scheduled`
    one a cluster's scheduler says what starts there, beside this site: it is `closed` by that, and `said` is
    the scheduler's own word.
    """

    backend: str
    node: str
    state: str = "unknown"
    since: datetime | None = None
    drained: bool = False
    by_settings: bool = False
    words: str = ""
    drained_by: str = ""
    drained_at: datetime | None = None
    free: Room = Field(default_factory=Room)
    sessions: tuple[str, ...] = ()
    waiting: int = 0
    scheduled: bool = False
    closed: bool = False
    said: str = ""

    @property
    def late(self) -> bool:
        """Whether it has missed a few looks only: more often it is busy than gone."""
        waited = self.since and datetime.now(UTC) - self.since
        return self.state == "silent" and waited is not None and waited < LATE


class Announcement(Answer):
    """Words shown to everybody, or to the users of one instrument, from `since` until `until`."""

    id: int
    words: str
    instrument: str = ""
    since: datetime | None = None
    until: datetime | None = None
    made_by: str = ""
    made: datetime | None = None
    live: bool = False

    @property
    def over(self) -> bool:
        """Whether it is shown no more."""
        return self.until is not None and self.until <= datetime.now(UTC)
