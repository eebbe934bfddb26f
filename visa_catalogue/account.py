"""Who somebody is, for every room: the account, and the hub groups that carry its teams and roles."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

#: Prefixes of the hub groups the authenticator manages: one group an experiment's team, one a facility
#: role, one an instrument that an instrument scientist looks after.
TEAM_PREFIX = "experiment-"
ROLE_PREFIX = "role-"
INSTRUMENT_PREFIX = "instrument-"


class Role(StrEnum):
    """Facility roles, as the identity provider names them."""

    SCIENTIST = "scientist"
    INSTRUMENT_SCIENTIST = "instrument-scientist"
    HELPDESK = "helpdesk"
    ADMINISTRATOR = "administrator"


class Account(BaseModel):
    """An account as the facility knows it.

    `gids` are the supplementary groups, without `gid`. `teams` are experiment ids whose team the
    account belongs to; `instruments` those it is an instrument scientist of. `uid`, `gid` and `home` are
    None where only the hub's groups are known, as in the portal, which starts nothing by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str
    name: str = ""
    email: str = ""
    uid: int | None = None
    gid: int | None = None
    gids: tuple[int, ...] = ()
    home: str | None = None
    roles: frozenset[str] = Field(default_factory=frozenset)
    teams: frozenset[str] = Field(default_factory=frozenset)
    instruments: frozenset[str] = Field(default_factory=frozenset)

    @property
    def groups(self) -> list[str]:
        """The hub groups this account belongs to, sorted."""
        return sorted(
            [TEAM_PREFIX + team for team in self.teams]
            + [ROLE_PREFIX + role for role in self.roles]
            + [INSTRUMENT_PREFIX + instrument for instrument in self.instruments]
        )

    @classmethod
    def from_groups(cls, username: str, groups: Iterable[str], **others) -> Account:
        """The account as far as the hub's groups tell it."""
        found: dict[str, set[str]] = {TEAM_PREFIX: set(), ROLE_PREFIX: set(), INSTRUMENT_PREFIX: set()}
        for group in groups:
            for prefix, members in found.items():
                if group.startswith(prefix):
                    members.add(group.removeprefix(prefix))
        return cls(
            username=username,
            teams=frozenset(found[TEAM_PREFIX]),
            roles=frozenset(found[ROLE_PREFIX]),
            instruments=frozenset(found[INSTRUMENT_PREFIX]),
            **others,
        )
