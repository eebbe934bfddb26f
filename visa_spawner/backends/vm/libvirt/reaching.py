"""Directories of a share that runs: more, or fewer, by a program that enters its root (`into_share.py`)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....session import Bind
from ...asking import CannotRun, NoAnswer, Program
from ..provider import Refused, Silent
from . import share

_RUN = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from visa_spawner.backends.hands.into_share import main; main()"
)
#: With the standard library alone; one run a request, as for containers.
_program = Program(
    (sys.executable, "-I", "-S", "-c", _RUN, str(Path(__file__).resolve().parents[4])), timeout=20, at_once=4
)
CANNOT = "The data of this machine cannot be changed at the moment. Tell the facility's staff."


@dataclass(frozen=True)
class Served:
    """What serves a machine, by the kernel's word: its port on the host's end of the line, and account."""

    port: int
    uid: int


async def change(hub_id: str, machine: str, binds: Sequence[Bind] = (), gone: Iterable[str] = ()) -> None:
    """Have these directories served as well, all or none, and those of these places no more.

    What of `gone` is not there is harmless. Raises Refused, for new ones where none was added, and Silent.
    """
    asked = {
        "processes": await asyncio.to_thread(_processes, hub_id, machine),
        "mark": share.mark(hub_id, machine),
        "mounts_": [
            {"source": bind.source, "target": share.export_of(bind.target), "read_only": bind.read_only}
            for bind in binds
        ],
        "gone": [share.export_of(target) for target in gone],
    }
    try:
        said = await _program.ask(lambda: asked)
    except CannotRun as error:
        raise Refused(CANNOT, f"{machine}: {error}") from error
    except NoAnswer as error:
        raise Silent(f"{machine}: the program {error}") from error
    if said.answer is None:
        raise Silent(f"{machine}: the program broke off: {said.errors[-500:]}")
    if words := said.answer.get("refused"):
        raise Refused(CANNOT, f"{machine}: {words}", "data")


def served(hub_id: str, machine: str) -> Served:
    """Raises Refused where nothing serves it."""
    for pid in _processes(hub_id, machine):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
                continue  # what began it, and is root still
            uid = os.stat(f"/proc/{pid}").st_uid
            port = _port_of(os.readlink(f"/proc/{pid}/fd/0"))
        except OSError:
            continue
        if uid and port:
            return Served(port, uid)
    raise Refused(CANNOT, f"{machine}: nothing serves its data", "data")


def _processes(hub_id: str, machine: str) -> list[int]:
    return [pid for pid, name in share.serving(hub_id) if name == machine]


def _port_of(link: str) -> int:
    """The port of a socket, which is the host's own as the hub opened it; 0 where it is none that listens."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = row.split()
        if words[3] == "0A" and link == f"socket:[{words[9]}]":
            return int(words[1].rpartition(":")[2], 16)
    return 0
