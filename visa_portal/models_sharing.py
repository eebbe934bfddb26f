"""What the hub answers about who is in a session, support, notices and the history."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, field_validator

from .models import Answer, Session

#: What a member may be let in as.
ROLES = ("viewer", "collaborator")


class Person(Answer):
    """Somebody by account name, and in full where the facility says it."""

    name: str
    full_name: str = ""

    @field_validator("full_name", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return value or ""

    @property
    def called(self) -> str:
        """The name people know."""
        return self.full_name or self.name


class Member(Person):
    """Somebody in a session; `way` is how they came in, `present` since when they are in now."""

    role: str = "viewer"
    support: bool = False
    way: str = "person"
    by_way_of: str = ""
    granted_by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    present: datetime | None = None
    refused: str = ""

    @field_validator("by_way_of", "granted_by", "refused", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value):
        return "" if value is None else str(value)


class Link(Answer):
    """An invitation link; `code` is there once, in the answer that made it."""

    id: int
    role: str = "viewer"
    expires: datetime | None = None
    uses: int = 0
    max_uses: int = 1
    made: datetime | None = None
    live: bool = False
    code: str = ""


class TeamPerson(Person):
    """Somebody of an experiment's team; not `known` are those who never logged in."""

    known: bool = True


class Team(Answer):
    """An experiment's team; `role` is what a session is shared with all of it as, or empty."""

    experiment: str
    title: str = ""
    role: str = ""
    people: tuple[TeamPerson, ...] = ()

    @field_validator("role", "title", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return value or ""


class Request(Person):
    """Support asks to join."""

    id: int
    role: str = "viewer"
    message: str = ""
    made: datetime | None = None
    lapses: datetime | None = None


class Asked(Answer):
    """An owner's request for help, that is open or was taken by `staff`."""

    id: int
    message: str = ""
    made: datetime | None = None
    staff: str = ""

    @field_validator("staff", "message", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return value or ""


class Sharing(Answer):
    """Who is in one session, and by what they may come in."""

    owner: str
    name: str
    title: str = ""
    experiments: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    links: tuple[Link, ...] = ()
    teams: tuple[Team, ...] = ()
    locked: bool = False
    away: str = "leave"
    requests: tuple[Request, ...] = ()
    help: Asked | None = None
    outsiders_may_watch: bool = False
    state: str = "stopped"

    @property
    def called(self) -> str:
        return self.title or self.name


class Shared(Session):
    """Somebody else's session that one is let into."""

    owner_full_name: str = ""
    role: str = "viewer"
    support: bool = False
    until: datetime | None = None

    @field_validator("owner_full_name", mode="before")
    @classmethod
    def _no_name(cls, value):
        return value or ""

    @property
    def owner_called(self) -> str:
        return self.owner_full_name or self.owner


class Inside(Answer):
    """Who is in one of one's own sessions, who asks to be, and whether help was asked for."""

    name: str
    members: tuple[Member, ...] = ()
    requests: tuple[Request, ...] = ()
    help: Asked | None = None


class Mine(Answer):
    """One's own sessions, who is in them, and those one is let into; `pulse` is `HubClient.pulse`'s."""

    pulse: str = ""
    own: tuple[Session, ...] = ()
    sessions: tuple[Inside, ...] = ()
    shared: tuple[Shared, ...] = ()


class Joined(Answer):
    """The session that a link let one into."""

    owner: str
    name: str
    owner_full_name: str = ""
    title: str = ""
    role: str = "viewer"
    url: str = ""

    @property
    def owner_called(self) -> str:
        return self.owner_full_name or self.owner


class Notice(Answer):
    """Words for a person: a message to them, or an announcement."""

    id: int
    kind: str = "announcement"
    words: str = ""
    made: datetime | None = None


class Asking(Request):
    """Support asks to join one of one's own sessions."""

    session: str


class Notices(Answer):
    """What somebody is to be shown on every page; `pulse` as `HubClient.pulse` tells it."""

    pulse: str = ""
    notices: tuple[Notice, ...] = ()
    asking: tuple[Asking, ...] = ()


class Event(Answer):
    """One line of the history."""

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

    @field_validator("owner", "session", "who", "whom", "role", "address", mode="before")
    @classmethod
    def _none_is_empty(cls, value):
        return value or ""

    @field_validator("details", mode="before")
    @classmethod
    def _none_is_nothing(cls, value):
        return value or {}
