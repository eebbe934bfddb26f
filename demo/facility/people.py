"""The demo's accounts, and the file an identity provider reads them from."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: No letters or digits that are taken for one another: the passwords are typed by hand.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_FIRST_UID = 20001


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `instruments` are those they are the instrument scientist of."""

    username: str
    name: str
    role: str
    uid: int
    instruments: tuple[str, ...] = ()

    @property
    def gid(self) -> int:
        """A primary group of one's own, numbered like the account."""
        return self.uid


_WHO = (
    ("alice", "Alice Moreau", "scientist", ()),
    ("bob", "Bob O'Neill", "scientist", ()),
    ("chloe", "Chloé Lefèvre", "scientist", ()),
    ("dawid", "Dawid Łukasik", "scientist", ()),
    ("ines", "Inès Haddad", "instrument-scientist", ("id19",)),
    ("hugo", "Hugo Lindqvist", "helpdesk", ()),
    ("ada", "Ada Okafor", "administrator", ()),
    ("sam", "Sam Sato", "scientist", ()),  # the stranger: on no team
)

PEOPLE = tuple(
    Person(username, name, role, _FIRST_UID + number, instruments)
    for number, (username, name, role, instruments) in enumerate(_WHO)
)


def claims(
    person: Person, homes: Path, gids: Sequence[int], experiments: Sequence[str]
) -> dict[str, str | int | list]:
    """What the identity provider says of somebody, without the password."""
    return {
        "sub": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{person.username}.demo.visa")),
        "preferred_username": person.username,
        "name": person.name,
        "email": f"{person.username}@demo.example",
        "uidNumber": person.uid,
        "gidNumber": person.gid,
        "gidNumbers": sorted(gids),
        "homeDirectory": str(homes / person.username),
        "roles": [person.role],
        "experiments": sorted(experiments),
        "instruments": list(person.instruments),
    }


def write_accounts(path: Path, accounts: Mapping[str, dict]) -> None:
    """Write the accounts for the provider, readable by root alone; passwords already there stay.

    Raises ValueError when the file that is there cannot be understood, since its passwords would be lost.
    """
    try:
        kept = {name: account["password"] for name, account in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        kept = {}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not an accounts file; move it away to have a new one made") from error
    whole = {
        name: {"password": kept.get(name) or _new_password(), **account} for name, account in accounts.items()
    }
    replace(path, json.dumps(whole, indent=2, ensure_ascii=False) + "\n", 0o600)


def _new_password() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(3))


def replace(path: Path, text: str, mode: int) -> None:
    """Put a file in place whole, with its mode from the first byte on."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    beside.rename(path)
