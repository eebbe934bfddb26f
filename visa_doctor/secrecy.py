"""Keeps secrets out of what is printed, whoever's words they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from traitlets.config import Config

#: What is named so is a secret.
NAMED_SO = re.compile(r"token|secret|passw|crypt_?key|(^|_)keys$", re.IGNORECASE)
#: Where a file holds it, its name is none.
_NO_SECRET = re.compile(r"file$|_url$|oauth_token|enable|length", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")
#: Shorter values are words that stand anywhere.
_SHORTEST = 6
HIDDEN = "[secret]"


def is_secret(name: str) -> bool:
    """Whether something of this name is a secret."""
    return bool(NAMED_SO.search(name)) and not _NO_SECRET.search(name)


def secrets_of(environment: Mapping[str, str], config: Config) -> set[str]:
    """All secret values that are known."""
    named = [value for name, value in environment.items() if is_secret(name)]
    found = {part for value in [*named, *_inside(config, False)] for part in (value, *value.split(";"))}
    return {value for value in found if len(value) >= _SHORTEST}


def hide(text: str, secrets: set[str]) -> str:
    """The text without any of them, and without passwords in addresses."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)


def _inside(value: object, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _inside(one, secret or (isinstance(name, str) and is_secret(name)))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _inside(one, secret)
    elif secret and isinstance(value, bytes):
        yield value.hex()
        yield value.decode("utf-8", "replace")
    elif secret and isinstance(value, str):
        yield value
