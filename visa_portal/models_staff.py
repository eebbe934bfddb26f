"""What the hub tells staff, and what staff look for, as checked values."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, field_validator

from .models import Answer, Session

#: The states a session can be looked for by.
STATES = ("starting", "running", "unknown", "stopping", "stopped", "failed")


class Present(Answer):
    """Somebody let into a session; `present` is since when they are in it now."""

    name: str
    full_name: str = ""
    role: str = "viewer"
    support: bool = False
    way: str = ""
    by_way_of: str = ""
    granted_by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    present: datetime | None = None
    refused: str = ""


class Usage(Answer):
    """What a session uses: cores, and bytes of memory of those it may use."""

    cpus: float | None = None
    memory: int | None = None
    memory_limit: int | None = None


class Supported(Session):
    """A session as staff see it; `why` says on what ground they may help with it."""

    owner_full_name: str = ""
    instruments: tuple[str, ...] = ()
    node: str = ""
    image: str = ""
    members: tuple[Present, ...] = ()
    may_ask: bool = False
    why: str = ""
    usage: Usage | None = None

    @field_validator("node", "image", "why", "owner_full_name", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value):
        return value or ""

    @field_validator("members", "instruments", mode="before")
    @classmethod
    def _none_are_none(cls, value):
        return value or ()


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
    staff: str = ""
    staff_full_name: str = ""


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
    made: datetime | None = None


class May(Answer):
    """Whom somebody may help: everybody, or those on some instruments."""

    all: bool = False
    instruments: tuple[str, ...] = ()


class Desk(Answer):
    """All of the Support page: sessions, requests for help, and one's own requests to join."""

    sessions: tuple[Supported, ...] = ()
    help: tuple[Help, ...] = ()
    asks: tuple[Ask, ...] = ()
    may: May = Field(default_factory=May)


class Node(Answer):
    """A machine that sessions run on; `free` is what it could still take, in words."""

    backend: str
    node: str
    drained: bool = False
    words: str = ""
    sessions: int = 0
    free: str = ""
    state: str = ""
    by: str = ""
    at: datetime | None = None


class Announcement(Answer):
    """Words shown to everybody, or to the users of one instrument, from `since` until `until`."""

    id: int
    words: str
    instrument: str = ""
    since: datetime | None = None
    until: datetime | None = None
    made_by: str = ""
    made: datetime | None = None


class Line(Answer):
    """One line of the audit log."""

    id: int
    at: datetime
    what: str
    owner: str = ""
    session: str = ""
    who: str = ""
    whom: str = ""
    role: str = ""
    address: str = ""
    details: dict = Field(default_factory=dict)
