"""A person's directories by NFS: exported to one machine alone, as that person, raw data read-only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from visa_session.machine import Mount

from ....session import Bind, Person
from ... import asking
from ..lane import Lane
from ..provider import Refused

T = TypeVar("T")

_CANNOT = "The data cannot be reached from the facility's cloud at the moment. Tell the facility's staff."
#: Seconds for one server to do it.
_PATIENCE = 30
_PORT = 2049


@dataclass(frozen=True)
class Served:
    """One directory: the server, its place there, and whose rights whoever asks has."""

    server: str
    path: str
    bind: Bind
    gid: int


def served(binds: Sequence[Bind], person: Person, nfs: Mapping[str, str]) -> list[Served]:
    """Where each directory is served; raises Refused for one that is nowhere."""
    return [_one(bind, person, nfs) for bind in binds]


def _one(bind: Bind, person: Person, nfs: Mapping[str, str]) -> Served:
    path = bind.path or bind.source
    begins = [one for one in nfs if path == one or path.startswith(one.rstrip("/") + "/")]
    if not begins:
        raise Refused(_CANNOT, f"c.OpenStackProvider.nfs has no server for {path}")
    begin = max(begins, key=len)
    server, _, place = nfs[begin].rpartition(":")
    there = place.rstrip("/") + path[len(begin.rstrip("/")) :]
    return Served(server.strip("[]"), there, bind, _group(bind, person))


def _group(bind: Bind, person: Person) -> int:
    """The one group that the server takes the person for: the directory's own where they are in it.

    A server that takes all for one account knows no supplementary groups of it.
    """
    try:
        group = os.stat(bind.source).st_gid
    except OSError:
        return person.gid
    return group if group in person.gids else person.gid


def mounts(directories: Sequence[Served], person: Person) -> list[dict[str, Any]]:
    """What the machine mounts, for its document."""
    return [
        asdict(
            Mount(one.server, _PORT, one.path, one.bind.target, one.bind.read_only, person.uid, kind="nfs")
        )
        for one in directories
    ]


class Files(Lane):
    """Threads that look at the facility's directories: a file server may hang for as long as it likes."""

    def _ask(self, ask: Callable[[Any], T]) -> T:
        return ask(None)


async def export(
    command: Sequence[str], machine: str, address: str, directories: Sequence[Served], person: Person
) -> None:
    """Have each server export its directories to this address; raises Refused where one does not."""
    for server in sorted({one.server for one in directories}):
        listed = [
            {"path": one.path, "read_only": one.bind.read_only, "uid": person.uid, "gid": one.gid}
            for one in directories
            if one.server == server
        ]
        asked = {"do": "add", "machine": machine, "address": address, "directories": listed}
        await _run(command, server, asked)


async def take_back(command: Sequence[str], servers: set[str], machine: str) -> None:
    """Export nothing to a machine any more; harmless when nothing was. Raises Refused."""
    for server in sorted(servers):
        await _run(command, server, {"do": "remove", "machine": machine})


async def keep(command: Sequence[str], servers: set[str], hub_id: str, machines: set[str]) -> None:
    """Export to nobody but these any more; raises Refused."""
    for server in sorted(servers):
        await _run(command, server, {"do": "keep", "hub": hub_id, "machines": sorted(machines)})


def servers(nfs: Mapping[str, str]) -> set[str]:
    """The addresses of all servers."""
    return {place.rpartition(":")[0].strip("[]") for place in nfs.values()}


async def _run(command: Sequence[str], server: str, asked: Mapping[str, Any]) -> None:
    words = [word.replace("{server}", server) for word in command]
    try:
        said = await asking.run(words, asked, timeout=_PATIENCE)
    except (asking.CannotRun, asking.NoAnswer) as error:
        raise Refused(_CANNOT, f"{words[0]} for {server}: {error}") from error
    if said.code:
        raise Refused(_CANNOT, f"{words[0]} for {server}: {said.errors[-500:]}")
