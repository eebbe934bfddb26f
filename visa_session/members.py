"""Who is what in this session: the hub's table as the line brings it, and what follows from it now.

The table is the hub's whole truth at one moment. What somebody may do follows from it and from three
things that this server knows best: the time, whether the owner is here, and whether the hub can be reached.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .contract import ExperimentInfo
from .roles import Role

log = logging.getLogger("visa")

#: What happens to the others while the owner is away.
LEAVE, VIEW_ONLY, DISCONNECT = "leave", "view-only", "disconnect"
#: Seconds at most between two looks at the clock: it may be set, or the machine may sleep.
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Member:
    """Somebody let in. `until` is in seconds since the epoch, None for as long as the session lasts."""

    name: str
    full_name: str
    role: Role
    support: bool = False
    since: str = ""
    until: float | None = None
    until_words: str | None = None

    @classmethod
    def read(cls, given: Mapping) -> Member:
        """One entry of the hub's table; raises ValueError, KeyError or TypeError for anything else."""
        role = Role(given["role"])
        if role is Role.OWNER or not isinstance(given["name"], str):
            raise ValueError(f"{given['name']!r} cannot be {role} by the table")
        words = given.get("until")
        return cls(
            given["name"],
            str(given.get("full_name") or given["name"]),
            role,
            bool(given.get("support")),
            str(given.get("since") or ""),
            moment(words) if words is not None else None,
            words,
        )


def moment(text: str) -> float:
    """An ISO 8601 time (UTC where it says nothing) as seconds since the epoch; raises ValueError."""
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True)
class Table:
    """What the hub said last. The empty one lets nobody in but the owner."""

    members: Mapping[str, Member] = field(default_factory=dict)
    owner_full_name: str = ""
    away: str = DISCONNECT
    trust_seconds: float = 0.0
    requests: tuple[Mapping, ...] = ()
    help: Mapping | None = None
    notices: tuple[Mapping, ...] = ()
    #: Full names, by name, of those who are out since data were added that they may not see.
    put_out: Mapping[str, str] = field(default_factory=dict)
    #: When the session ends, ISO 8601, where the hub says so, and by how many hours its owner may extend it.
    ends: str = ""
    may_extend: float = 0.0
    #: The experiments whose data the session has; None where the hub does not say.
    experiments: tuple[ExperimentInfo, ...] | None = None

    @classmethod
    def read(cls, given: object) -> Table:
        """The table in one object of the line; raises ValueError where that is no table.

        A member that cannot be understood is left out: that lets in nobody whom the hub did not mean.
        """
        try:
            members = {}
            for entry in given["members"]:
                try:
                    member = Member.read(entry)
                except (KeyError, TypeError, ValueError) as error:
                    log.error("A member is left out, since the hub's words for them are not clear: %s", error)
                    continue
                members[member.name] = member
            away = given["away"]
            return cls(
                members,
                str((given.get("owner") or {}).get("full_name") or ""),
                away if away in (LEAVE, VIEW_ONLY) else DISCONNECT,
                float(given["trust_seconds"]),
                tuple(given.get("requests") or ()),
                given.get("help"),
                tuple(given.get("notices") or ()),
                {one["name"]: str(one["full_name"]) for one in given.get("put_out") or ()},
                str(given.get("ends") or ""),
                float(given.get("may_extend") or 0),
                _experiments(given.get("experiments")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"the hub's table is not readable: {error!r}") from error


def _experiments(given: object) -> tuple[ExperimentInfo, ...] | None:
    """What the session has, as the hub says it; None where that is not clear, which changes nothing."""
    if given is None:
        return None
    try:
        return tuple(map(ExperimentInfo.from_dict, given))
    except (TypeError, AttributeError) as error:
        log.error("The hub's words for the session's data are not clear: %s", error)
        return None


class Members:
    """The live table of one session; `owner` is an account's name.

    `watch` takes what is called, without arguments, whenever somebody's role may have changed.
    """

    def __init__(self, owner: str):
        self.owner = owner
        self.table = Table()
        self.owner_here = False
        self._heard = 0.0  # when the hub said something last
        self._lost = True
        self._watchers: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, called: Callable[[], None]) -> None:
        """Have `called` called after each change, on the server's event loop."""
        self._watchers.append(called)

    def role_of(self, name: str) -> Role | None:
        """What an account may be here at this moment; None for nothing."""
        if name == self.owner:
            return Role.OWNER
        member = self.table.members.get(name)
        if member is None or not self.trusted:
            return None
        if member.until is not None and time.time() >= member.until:
            return None
        if self.owner_here or self.table.away == LEAVE:
            return member.role
        return Role.VIEWER if self.table.away == VIEW_ONLY else None

    def is_out(self, name: str) -> bool:
        """Whether it is the hub's own word that keeps somebody out, and no absence or silence."""
        if name == self.owner or not self.trusted:
            return False
        member = self.table.members.get(name)
        return member is None or (member.until is not None and time.time() >= member.until)

    def full_name(self, name: str) -> str:
        """The facility's name for a person of this session; "" where it is not known."""
        if name == self.owner:
            return self.table.owner_full_name
        member = self.table.members.get(name)
        return member.full_name if member else ""

    @property
    def trusted(self) -> bool:
        """Whether the table is believed: the line is up, or the hub was heard within `trust_seconds`."""
        return not self._lost or time.monotonic() < self._heard + self.table.trust_seconds

    def take(self, table: Table) -> None:
        """The line brought a table."""
        self.table, self._heard, self._lost = table, time.monotonic(), False
        self._changed()

    def heard(self) -> None:
        """The line brought the same table again."""
        self._heard = time.monotonic()

    def line_lost(self) -> None:
        """The hub cannot be reached; tell again as often as you like."""
        if not self._lost:
            self._lost = True
            # At once where it had been silent for that long.
            self._arm() if self.trusted else self._changed()

    def forget(self) -> None:
        """The hub said that it knows no table of ours: nobody but the owner from now on."""
        known, self.table, self._lost = self.table, Table(), True
        if known != self.table:
            self._changed()

    def owner_is(self, here: bool) -> None:
        """The owner came, or was away for long enough to be away."""
        if here != self.owner_here:
            self.owner_here = here
            self._changed()

    def stop(self) -> None:
        """Look at the clock no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _changed(self) -> None:
        for called in self._watchers:
            try:
                called()
            except Exception:
                # One that fails must not keep the next, which may be the one that closes sockets.
                log.exception("A change of members could not be passed on")
        self._arm()

    def _arm(self) -> None:
        """Come back when the next membership is over, or the table too old to be believed."""
        self.stop()
        now = time.time()
        waits = [m.until - now for m in self.table.members.values() if m.until is not None and m.until > now]
        if self._lost and self.trusted:
            waits.append(self._heard + self.table.trust_seconds - time.monotonic())
        if waits:
            wait = min(max(min(waits), 0.0) + 0.01, LONGEST_WAIT)
            self._timer = asyncio.get_running_loop().call_later(wait, self._changed)
