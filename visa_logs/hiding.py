"""Keeps secrets out of what is logged or shown, whoever's words they stand in.

Tokens, cookies, codes and passwords are known by what stands before them or by their form, and the process's
own secrets by their value. Paths stay, but for a part of one that looks like a token.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

HIDDEN = "[secret]"

#: What is named so is a secret.
NAMED_SO = re.compile(r"token|secret|passw|crypt_?key|(^|_)keys$", re.IGNORECASE)
#: Where a file holds it, its name is none.
_NO_SECRET = re.compile(r"file$|_url$|oauth_token|enable|length", re.IGNORECASE)
#: Shorter values are words that stand anywhere.
_SHORTEST = 6

_ANY_VALUE = r"""(?:\\?"[^"\n]*"|\\?'[^'\n]*'|"""
#: A pattern, what it becomes, and in small letters the words of which a text has one where it can match:
#: looking for these costs a tenth.
_RULES = (
    (
        re.compile(r"(/authorizations/(?:cookie|token)/)[^\s?]+"),
        rf"\1{HIDDEN}",
        ("/authorizations/",),
    ),
    (
        re.compile(rf"(?i)(cookies?\\?[\"']?\s*[=:]\s*){_ANY_VALUE}[^\n]+)"),
        rf"\1{HIDDEN}",
        ("cookie",),
    ),
    (
        # A path after it says which file: it is no secret.
        re.compile(
            r"(?i)((?:authorization|token|passw(?:or)?d|pwd|secret|crypt_?key|api_?key|_xsrf)\\?[\"']?\s*[=:]\s*)"
            rf"(?!/[\w.-]+/)(?:(?:token|bearer|basic)\s+)?{_ANY_VALUE}[^\s&]+)"
        ),
        rf"\1{HIDDEN}",
        ("token", "passw", "pwd", "secret", "key", "xsrf", "authorization"),
    ),
    (
        re.compile(r"(?i)\b(token|bearer|basic)(\s+)(?=\S*\d)[\w.~+/-]{16,}=*"),
        rf"\1\2{HIDDEN}",
        ("token", "bearer", "basic"),
    ),
    (
        re.compile(r"([?&](?:code|state|session_state|nonce|ticket|auth|key)=)[^&\s#\"']+"),
        rf"\1{HIDDEN}",
        ("?", "&"),
    ),
    (
        # An address within another one's.
        re.compile(
            r"(?i)(%(?:25)?(?:3F|26)[\w-]*(?:code|state|nonce|ticket|auth|key|token|secret|password|xsrf)"
            r"%(?:25)?3D)(?:(?!%(?:25)?26)[^&\s#\"'])+"
        ),
        rf"\1{HIDDEN}",
        ("%3d", "%253d"),
    ),
    (
        # Not an exit's or a status's, which are short.
        re.compile(r"(?i)(\bcode\\?[\"']?\s*[=:]\s*\\?[\"']?)[\w.~%+/-]{12,}"),
        rf"\1{HIDDEN}",
        ("code",),
    ),
    (
        re.compile(r"((?:__Host-|__Secure-)?jupyterhub-[\w.%-]{1,200}=)(?:\"[^\"\n]*\"|[^\s;,]+)"),
        rf"\1{HIDDEN}",
        ("jupyterhub-",),
    ),
    (re.compile(r"\b2\|1:\d+\|\d+:\d+\|[^\s\"';,]+"), HIDDEN, ("2|1:",)),  # what tornado has signed
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN, ("eyj",)),  # JSON web tokens
    (re.compile(r"(://[^\s/:@]*:)[^\s/]+@"), rf"\1{HIDDEN}@", ("://",)),
)
#: The hub's tokens, and what `openssl rand -hex` makes; not an image's digest, which everybody may know.
_HEX = re.compile(r"(?<![0-9A-Za-z])(?<!sha256[:-])(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![0-9A-Za-z])")

_known: tuple[str, ...] = ()


def know(secrets: Iterable[str]) -> None:
    """Hide these from now on too, in the whole process."""
    global _known
    _known = tuple(sorted({*_known, *secrets}, key=len, reverse=True))


def hide(text: str) -> str:
    """The text without secrets; costs a few microseconds for a line."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    small = text.lower()
    for pattern, becomes, words in _RULES:
        for word in words:
            if word in small:
                text = pattern.sub(becomes, text)
                break
    return _HEX.sub(HIDDEN, text)


def said(record: logging.LogRecord, form: Callable[[logging.LogRecord], str]) -> str:
    """What a formatter's `form` makes of a record, without secrets.

    A call with the wrong number of words is shown as it stands: nothing that logs raises.
    """
    try:
        return hide(form(record))
    except Exception:
        return hide(f"{record.msg!r} {record.args!r}")


def is_secret(name: str) -> bool:
    """Whether something of this name is a secret."""
    return bool(NAMED_SO.search(name)) and not _NO_SECRET.search(name)


def secrets_of(environment: Mapping[str, str], settings: Mapping) -> set[str]:
    """All secret values that an environment and settings hold; passwords in addresses are among them."""
    named = [value for name, value in environment.items() if is_secret(name)]
    found = {part for value in [*named, *_inside(settings, False)] for part in (value, *value.split(";"))}
    found |= {_password(value) for name, value in environment.items() if name.endswith("_URL")}
    return {value for value in found if len(value) >= _SHORTEST}


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


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
