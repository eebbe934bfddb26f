"""What makes a waiting session somebody's: one document, read and checked however it came.

Whoever hands it over is root of the hub's own node. All the same nothing of it is believed: it may have been
cut off, or made by a hub of another version. What is not named here is refused, since a field that this
version does not know might be one that keeps the session safe. Only the standard library.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Bytes of the largest document: its passport has 200 kB in practice, its environment less.
LARGEST = 16 * 1024 * 1024
#: The kernel's own: user and group ids are 32 bits, the last means "leave it as it is"; groups of a process;
#: bytes of one variable that a program can be started with.
_LARGEST_ID = 2**32 - 2
_MOST_GROUPS = 65536
_LARGEST_VARIABLE = 131072

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class Refused(Exception):
    """Nothing can be made of it; the text is a sentence for the operator, with nothing of the document."""


@dataclass(frozen=True)
class Handover:
    """Whose a session becomes, and with what.

    `environment` joins that of the image; `files` is a tar of root's files to unpack at the root; `hostname`
    is the name that the container has by now, "" where it keeps its own.
    """

    uid: int
    gid: int
    gids: tuple[int, ...]
    environment: Mapping[str, str]
    files: bytes
    hostname: str


def read(document: bytes) -> Handover:
    """The hand-over that a document describes; raises Refused."""
    if len(document) > LARGEST:
        raise Refused(f"The document has more than {LARGEST} bytes.")
    try:
        values = json.loads(document, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        # Not the parser's own words, which quote what they stumbled over.
        raise Refused("The document is not whole, or no JSON.") from None
    names = set(Handover.__dataclass_fields__)
    if not isinstance(values, dict) or set(values) != names:
        raise Refused(f"The document must hold {', '.join(sorted(names))}, and nothing else.")
    gids = values["gids"]
    if not isinstance(gids, list) or len(gids) > _MOST_GROUPS:
        raise Refused("gids must be a list of group ids.")
    return Handover(
        uid=_id("uid", values["uid"]),
        gid=_id("gid", values["gid"]),
        gids=tuple(_id("gids", gid) for gid in gids),
        environment=_environment(values["environment"]),
        files=_files(values["files"]),
        hostname=_hostname(values["hostname"]),
    )


def _once(pairs: list[tuple[str, object]]) -> dict:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name twice")
    return values


def _id(name: str, value: object) -> int:
    # `type`, since True is an int to Python and root's group to the kernel's caller.
    if type(value) is not int or not 0 < value <= _LARGEST_ID:
        raise Refused(f"{name} must be an account's, never the system's own.")
    return value


def _environment(values: object) -> dict[str, str]:
    if not isinstance(values, dict):
        raise Refused("environment must be an object.")
    for name, value in values.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(value, str) or "\0" in value:
            raise Refused("environment must give texts to names of letters, digits and underscores.")
        try:
            size = len(name) + len(os.fsencode(value)) + 2
        except UnicodeEncodeError:
            raise Refused(f"The value of {name} is no text.") from None
        if size > _LARGEST_VARIABLE:
            raise Refused(f"The value of {name} is too long for any program to be started with.")
    return values


def _files(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except ValueError:
        pass
    raise Refused("files must be a tar in base64.")


def _hostname(value: object) -> str:
    if not isinstance(value, str) or value and not _HOSTNAME.fullmatch(value):
        raise Refused("hostname must be a name of letters, digits and hyphens.")
    return value
