"""Claims of the identity provider, read as an account: pure functions, nothing trusted unseen.

Uid, gid and home decide whose files a session may touch, so anything odd about them refuses the login.
Roles, teams and instruments only ever add rights, so what is not understood among them is left out and
said to the operator.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from visa_catalogue.account import Account, Role
from visa_catalogue.model import ExperimentId

#: What an account is made of, and the claim each part is read from unless the facility says otherwise.
CLAIM_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "username": "preferred_username",
        "name": "name",
        "email": "email",
        "uid": "uidNumber",
        "gid": "gidNumber",
        "gids": "gidNumbers",
        "home": "homeDirectory",
        "roles": "roles",
        "experiments": "experiments",
        "instruments": "instruments",
    }
)

#: The largest uid and gid that container engines accept.
HIGHEST_ID = 2**31 - 1
#: "nobody" and the 16-bit overflow id: files of many people end up with these.
NOBODY = frozenset({65534, 65535})
#: No home of a person stands in these.
SYSTEM_TREES = frozenset({"bin", "boot", "dev", "etc", "proc", "root", "run", "sbin", "sys"})
LONGEST_TEXT = 200
LONGEST_HOME = 1024

_ID_TEXT = re.compile(r"[1-9][0-9]{0,9}")
_NAME = TypeAdapter(ExperimentId)
_ABSENT = object()


class ClaimRefused(ValueError):
    """A claim that an account cannot be made of; `claim` is its name at the provider."""

    def __init__(self, claim: str, words: str):
        super().__init__(f"{claim} {words}")
        self.claim = claim


@dataclass(frozen=True)
class ClaimRules:
    """How a facility's claims are read; see the traits of `VisaAuthenticator` for the meaning of each."""

    names: Mapping[str, str] = field(default_factory=lambda: CLAIM_NAMES)
    uid_floor: int = 1000
    gid_floor: int = 1000
    numeric_strings: bool = False
    username_pattern: str = r"[a-z][a-z0-9_-]{0,31}"
    role_names: Mapping[str, str] = field(default_factory=dict)
    home_roots: tuple[str, ...] = ()


def read_account(claims: Mapping[str, Any], rules: ClaimRules) -> tuple[Account, list[str]]:
    """The account that the claims describe, and in words what among them was left out.

    Raises ClaimRefused, naming the claim, where they describe none that may be used.
    """
    names = rules.names
    ignored: list[str] = []
    uid = _id(claims, names["uid"], rules.uid_floor, rules)
    gid = _id(claims, names["gid"], rules.gid_floor, rules)
    return Account(
        username=read_username(claims, rules),
        name=_text(claims, names["name"]),
        email=_text(claims, names["email"]),
        uid=uid,
        gid=gid,
        gids=_gids(claims, gid, rules),
        home=_home(claims, names["home"], rules.home_roots),
        roles=_roles(claims, rules, ignored),
        teams=_ids(claims, names["experiments"], ignored),
        instruments=_ids(claims, names["instruments"], ignored),
    ), ignored


def read_username(claims: Mapping[str, Any], rules: ClaimRules) -> str:
    """The account's name; raises ClaimRefused unless it matches the pattern as a whole.

    Never changed to fit: "Alice" and "alice" may be two people.
    """
    claim = rules.names["username"]
    value = _find(claims, claim)
    if value is _ABSENT:
        raise ClaimRefused(claim, "is missing")
    if not isinstance(value, str) or not re.fullmatch(rules.username_pattern, value):
        raise ClaimRefused(claim, f"does not match {rules.username_pattern}")
    return value


def _find(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path of names with dots; null counts as absent."""
    value: Any = claims
    if name in claims:
        value = claims[name]
    else:
        for part in name.split("."):
            value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return _ABSENT if value is None else value


def _id(claims: Mapping[str, Any], claim: str, floor: int, rules: ClaimRules) -> int:
    value = _find(claims, claim)
    if value is _ABSENT:
        raise ClaimRefused(claim, "is missing")
    return _checked_id(claim, value, floor, rules)


def _checked_id(claim: str, value: Any, floor: int, rules: ClaimRules) -> int:
    if rules.numeric_strings and isinstance(value, str) and _ID_TEXT.fullmatch(value):
        value = int(value)
    if type(value) is not int:  # a bool is an int to isinstance
        raise ClaimRefused(claim, "is not a whole number")
    if value < floor:
        raise ClaimRefused(claim, f"is {value}, below the lowest allowed, {floor}")
    if value > HIGHEST_ID:
        raise ClaimRefused(claim, f"is above the highest possible, {HIGHEST_ID}")
    if value in NOBODY:
        raise ClaimRefused(claim, f"is {value}, which stands for nobody")
    return value


def _gids(claims: Mapping[str, Any], gid: int, rules: ClaimRules) -> tuple[int, ...]:
    claim = rules.names["gids"]
    value = _find(claims, claim)
    if value is _ABSENT:
        return ()
    if not isinstance(value, list):
        raise ClaimRefused(claim, "is not a list")
    return tuple(sorted({_checked_id(claim, one, rules.gid_floor, rules) for one in value} - {gid}))


def _home(claims: Mapping[str, Any], claim: str, roots: tuple[str, ...]) -> str:
    value = _find(claims, claim)
    if value is _ABSENT:
        raise ClaimRefused(claim, "is missing")
    if not isinstance(value, str) or not value.startswith("/") or len(value) > LONGEST_HOME:
        raise ClaimRefused(claim, "is not an absolute path")
    if ":" in value or any(unicodedata.category(sign).startswith("C") for sign in value):
        raise ClaimRefused(claim, "has a sign that no home has")
    parts = value.split("/")[1:]
    if any(part in ("", ".", "..") for part in parts):
        raise ClaimRefused(claim, "has an empty, '.' or '..' part")
    if len(parts) < 2 or parts[0] in SYSTEM_TREES:
        raise ClaimRefused(claim, "is a directory of the system")
    if roots and not any(value.startswith(root.rstrip("/") + "/") for root in roots):
        raise ClaimRefused(claim, "does not stand where homes do")
    return value


def _text(claims: Mapping[str, Any], claim: str) -> str:
    """A text to show, without control and formatting signs; empty where there is none."""
    value = _find(claims, claim)
    if not isinstance(value, str):
        return ""
    return "".join(s for s in value if not unicodedata.category(s).startswith("C"))[:LONGEST_TEXT].strip()


def _list(claims: Mapping[str, Any], claim: str, ignored: list[str]) -> list[Any]:
    value = _find(claims, claim)
    if value is _ABSENT:
        return []
    if not isinstance(value, list):
        ignored.append(f"{claim} is not a list; left out")
        return []
    return value


def _roles(claims: Mapping[str, Any], rules: ClaimRules, ignored: list[str]) -> frozenset[str]:
    claim = rules.names["roles"]
    roles = set()
    for given in _list(claims, claim, ignored):
        role = rules.role_names.get(given, given) if isinstance(given, str) else None
        if role in set(Role):
            roles.add(str(role))
        else:
            ignored.append(f"{claim} has an unknown role, {given!r:.80}; left out")
    return frozenset(roles)


def _ids(claims: Mapping[str, Any], claim: str, ignored: list[str]) -> frozenset[str]:
    ids = set()
    for given in _list(claims, claim, ignored):
        try:
            ids.add(_NAME.validate_python(given, strict=True))
        except ValidationError:
            ignored.append(f"{claim} has no valid id in {given!r:.80}; left out")
    return frozenset(ids)
