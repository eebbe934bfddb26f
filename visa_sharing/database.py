"""Our tables, beside the hub's own in the hub's database.

Beside them so that a share, what is known about it, and its line in the audit log are committed together
or not at all. They carry the prefix `visa_` and a migration history of their own (`migrations/`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from jupyterhub import orm
from sqlalchemy import JSON, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: What may stand in `Grant.way`: how somebody came to be a member.
PERSON, LINK, TEAM, SUPPORT = "person", "link", "team", "support"


def now() -> datetime:
    """Now in UTC without a time zone, as the hub's tables keep times."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """Our tables; their migrations are in `migrations/`."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _session_key() -> Mapped[int]:
    return mapped_column(ForeignKey(orm.Spawner.__table__.c.id, ondelete="CASCADE"), index=True)


class Grant(Base):
    """What is known about one of the hub's shares: how it came about, and until when it holds.

    A share without a grant was made by the hub's own API, and counts only where the site says so.
    """

    __tablename__ = "visa_grants"

    share_id: Mapped[int] = mapped_column(
        ForeignKey(orm.Share.__table__.c.id, ondelete="CASCADE"), primary_key=True
    )
    #: What was granted: the hub's own API may make a share say less, and more only where the site says so.
    role: Mapped[str] = mapped_column(String(16))
    way: Mapped[str] = mapped_column(String(16), default=PERSON)
    #: The experiment of a team, the link's or the request's id.
    by_way_of: Mapped[str] = mapped_column(String(255), default="")
    granted_by: Mapped[str] = mapped_column(String(255))
    granted_at: Mapped[datetime] = mapped_column(default=now)
    until: Mapped[datetime | None]
    #: Experiments the member may not see by themselves and the owner agreed to show, space-separated.
    despite: Mapped[str] = mapped_column(Text, default="")


class SessionPolicy(Base):
    """What an owner has set for one session; no row: nothing."""

    __tablename__ = "visa_session_policies"

    spawner_id: Mapped[int] = mapped_column(
        ForeignKey(orm.Spawner.__table__.c.id, ondelete="CASCADE"), primary_key=True
    )
    locked: Mapped[bool] = mapped_column(default=False)


class TeamShare(Base):
    """A session shared with an experiment's team, whoever belongs to it."""

    __tablename__ = "visa_team_shares"

    id: Mapped[int] = mapped_column(primary_key=True)
    spawner_id: Mapped[int] = _session_key()
    experiment: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    made_by: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(default=now)


class NotAgain(Base):
    """Somebody the owner ended, so that their team or their link does not let them in again."""

    __tablename__ = "visa_not_again"

    spawner_id: Mapped[int] = mapped_column(
        ForeignKey(orm.Spawner.__table__.c.id, ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey(orm.User.__table__.c.id, ondelete="CASCADE"), primary_key=True
    )


class Link(Base):
    """An invitation link; only a digest of its code is kept."""

    __tablename__ = "visa_links"

    id: Mapped[int] = mapped_column(primary_key=True)
    spawner_id: Mapped[int] = _session_key()
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    expires: Mapped[datetime]
    max_uses: Mapped[int]
    uses: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[bool] = mapped_column(default=False)
    made_by: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(default=now)


class Request(Base):
    """Support asks to join (`kind` "join"), or an owner asks for help ("help").

    `state` is open, accepted, declined, lapsed, withdrawn or ended for "join"; open, taken or closed for
    "help". `staff` is who asked to join, or who took the request for help.
    """

    __tablename__ = "visa_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    spawner_id: Mapped[int] = _session_key()
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16), default="open", index=True)
    staff: Mapped[str] = mapped_column(String(255), default="")
    staff_role: Mapped[str] = mapped_column(String(64), default="")
    role: Mapped[str] = mapped_column(String(16), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    made_at: Mapped[datetime] = mapped_column(default=now)
    lapses_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    words: Mapped[str] = mapped_column(Text, default="")


class Event(Base):
    """One line of the audit log; `details` holds what else its schema has.

    Names, not keys: a line outlives the account and the session it is about.
    """

    __tablename__ = "visa_events"
    # No number is used twice, also when old lines were taken out: the events file goes by the numbers.
    __table_args__ = (Index("ix_visa_events_session", "owner", "session"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    what: Mapped[str] = mapped_column(String(32), index=True)
    owner: Mapped[str] = mapped_column(String(255), default="")
    session: Mapped[str] = mapped_column(String(255), default="")
    who: Mapped[str] = mapped_column(String(255), default="", index=True)
    whom: Mapped[str] = mapped_column(String(255), default="", index=True)
    role: Mapped[str] = mapped_column(String(16), default="")
    address: Mapped[str] = mapped_column(String(64), default="")
    #: Set once by whoever reports it from elsewhere, so that a report that is sent twice counts once.
    key: Mapped[str | None] = mapped_column(String(64), unique=True)
    details: Mapped[dict] = mapped_column(JSON, default=dict)


class Notice(Base):
    """Words for people: an announcement to all or to one instrument's users, or a message to one owner.

    A message has an `account`, is about one session or none, and is shown until `seen_at`.
    """

    __tablename__ = "visa_notices"

    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(default=now)
    instrument: Mapped[str] = mapped_column(String(200), default="")
    since: Mapped[datetime] = mapped_column(default=now)
    until: Mapped[datetime | None]
    account: Mapped[str] = mapped_column(String(255), default="", index=True)
    session: Mapped[str] = mapped_column(String(255), default="")
    seen_at: Mapped[datetime | None]


class DrainedNode(Base):
    """A node that takes no new sessions."""

    __tablename__ = "visa_drained_nodes"

    backend: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(255), primary_key=True)
    words: Mapped[str] = mapped_column(Text, default="")
    made_by: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(default=now)


class Software(Base):
    """What is in an image that sessions have had here: kept once, however many sessions.

    `key` is the image's digest; where that is not known it is made of the packages themselves.
    """

    __tablename__ = "visa_software"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    recipe: Mapped[str] = mapped_column(String(64))
    packages: Mapped[list] = mapped_column(JSON, default=list)


class Passport(Base):
    """What a session was started with; `details` is its passport without the packages.

    Names, not keys: a passport outlives the account and the session it is about.
    """

    __tablename__ = "visa_passports"
    __table_args__ = (Index("ix_visa_passports_session", "owner", "session"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(255))
    session: Mapped[str] = mapped_column(String(255))
    started: Mapped[datetime]
    profile: Mapped[str] = mapped_column(String(64))
    plan: Mapped[str] = mapped_column(String(64))
    software: Mapped[str] = mapped_column(ForeignKey("visa_software.key"), index=True)
    details: Mapped[dict] = mapped_column(JSON)


class PassportExperiment(Base):
    """An experiment that a session was started on."""

    __tablename__ = "visa_passport_experiments"

    passport_id: Mapped[int] = mapped_column(
        ForeignKey("visa_passports.id", ondelete="CASCADE"), primary_key=True
    )
    experiment: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
