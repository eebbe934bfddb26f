"""What the program may be asked, checked field by field: one JSON document on standard input."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field

from .refusals import Refused

#: Bytes of a request at most: a hand-over's document with its files, generously.
MOST = 8 << 20
#: An engine's own name of a container: what its cgroup is called by.
_CONTAINER = re.compile(r"[0-9a-f]{64}")
#: Where nothing is ever mounted: the kernel's own, and what a container's programs trust.
_NEVER = frozenset({"proc", "sys", "dev", "etc", "usr", "bin", "sbin", "lib", "lib64", "boot", "run"})
_DO = ("bind", "unbind", "hand_over")


@dataclass(frozen=True)
class Mount:
    """A directory of this machine, and where it stands inside."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Request:
    """One request, see `client.py`; `targets` and `unlinked` are the mounts and links to take away.

    `until`, by the monotonic clock, is when nobody waits for it any more: it is not begun from then on.
    """

    do: str
    pid: int
    container: str
    mounts: tuple[Mount, ...] = ()
    targets: tuple[str, ...] = ()
    unlinked: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    hostname: str = ""
    document: dict | None = None
    until: float = math.inf


def read(descriptor: int) -> Request:
    """The request, whole; raises Refused for anything else, also for one that broke off."""
    given = b""
    while chunk := os.read(descriptor, 1 << 16):
        given += chunk
        if len(given) > MOST:
            raise Refused("the request is too long")
    try:
        values = json.loads(given)
        return _parse(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"the request is none: {type(error).__name__}") from None


def _parse(
    *,
    do,
    pid,
    container,
    mounts=(),
    targets=(),
    unlinked=(),
    links=None,
    texts=None,
    hostname="",
    document=None,
    until=math.inf,
) -> Request:
    if do not in _DO or type(pid) is not int or pid < 2 or not _CONTAINER.fullmatch(container):
        raise Refused("the request names nothing to do, no process or no container")
    if (do == "hand_over") != isinstance(document, dict):
        raise Refused("a document goes with a hand-over, and with nothing else")
    return Request(
        do,
        pid,
        container,
        tuple(_mount(**one) for one in mounts),
        tuple(_target(one) for one in targets),
        tuple(plain(one) for one in unlinked),
        {plain(link): plain(target) for link, target in (links or {}).items()},
        {plain(place): str(text) for place, text in (texts or {}).items()},
        str(hostname),
        document,
        float(until),
    )


def _mount(*, source, target, read_only) -> Mount:
    if type(read_only) is not bool:
        raise Refused("a mount is read-only or not")
    return Mount(plain(source), _target(target), read_only)


def _target(path) -> str:
    if plain(path).split("/")[1] in _NEVER:
        raise Refused(f"nothing is mounted at {path}")
    return path


def plain(path) -> str:
    """An absolute path below `/` without anything to interpret; raises Refused."""
    if not isinstance(path, str) or not path.startswith("/") or "\x00" in path:
        raise Refused("a path must be a plain absolute one")
    if any(part in ("", ".", "..") for part in path.split("/")[1:]):
        raise Refused(f"{path!r} is not a plain absolute path")
    return path
