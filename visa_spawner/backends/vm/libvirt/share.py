"""A person's directories for one machine: a process that is that person, in a root of nothing but these.

The guest mounts them by 9p. Whatever root of the guest says, the process here has no more rights than the
person and sees nothing else: a link of the guest's making leads nowhere, and raw data are mounted read-only
in its own root, so that no word of the guest changes them. It goes on when the hub is restarted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visa_session.machine import SHARED_AS

from ....session import Bind, Person
from ..provider import Refused

PROGRAM = Path(__file__).with_name("served.py")
#: Where the program stands in that root, by which a process is known for one of these.
INSIDE = "/visa-share.py"
DIOD = "/usr/sbin/diod"
#: Debian's own Python: the hub's may stand where the person must not look.
PYTHON = "/usr/bin/python3"
_SO_BINDTODEVICE = 25
#: What the first process needs to become the person; gone once it has.
_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclass(frozen=True)
class Shared:
    """Where a machine finds the directories: port on the host's end of its line, and an export for each."""

    port: int
    exports: tuple[str, ...]


def command(person: Person, binds: Sequence[Bind], hub_id: str, machine: str, names: int) -> list[str]:
    """The process's arguments. Sources are pinned directories, which nobody can swap.

    `names` is the descriptor of a file that becomes /etc/passwd in its root.
    """
    words = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--clearenv", "--new-session"]
    words += ["--ro-bind", "/usr", "/usr", "--dev", "/dev"]
    for name in ("lib", "lib64", "bin", "sbin"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    words += ["--dir", "/etc", "--dir", "/share"]  # or they are root's alone
    words += ["--ro-bind", str(PROGRAM), INSIDE]
    words += ["--perms", "0444", "--ro-bind-data", str(names), "/etc/passwd"]
    for number, bind in enumerate(binds):
        words += ["--ro-bind" if bind.read_only else "--bind", bind.source, f"/share/{number}"]
    for capability in _CAPABILITIES:
        words += ["--cap-add", capability]
    words += ["--chdir", "/", "/usr/bin/setpriv", f"--reuid={person.uid}", f"--regid={person.gid}"]
    words += [f"--groups={','.join(map(str, dict.fromkeys((person.gid, *person.gids))))}"]
    words += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
    return [*words, PYTHON, "-I", INSIDE, DIOD, str(len(binds)), hub_id, machine]


async def open_share(
    person: Person, binds: Sequence[Bind], *, hub_id: str, machine: str, host: str, device: str
) -> Shared:
    """Begin to serve; raises Refused where this host cannot."""
    close_share(hub_id, machine)
    for program in (DIOD, PYTHON):
        if not os.path.exists(program):
            raise Refused("The host of the machines cannot share data.", f"{program} is not installed")
    if shutil.which("bwrap") is None:
        raise Refused("The host of the machines cannot share data.", "bubblewrap is not installed")
    with socket.socket() as listening:
        # Heard on the machine's own line alone: neither other machines nor programs of the host come here.
        listening.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device.encode())
        try:
            listening.bind((host, 0))
        except OSError as error:
            raise Refused("The machine's network is not there.", f"{host} on {device}: {error}") from error
        listening.listen(16)
        with os.fdopen(os.memfd_create("visa-share"), "w+b", buffering=0) as names:
            # The one account that the server knows, by the name that the guest's kernel says.
            names.write(f"{SHARED_AS}:x:{person.uid}:{person.gid}::/:/usr/sbin/nologin\n".encode())
            names.seek(0)
            await asyncio.create_subprocess_exec(
                *command(person, binds, hub_id, machine, names.fileno()),
                stdin=listening.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[names.fileno()],
                start_new_session=True,
                cwd="/",
            )
        return Shared(listening.getsockname()[1], tuple(f"/share/{number}" for number in range(len(binds))))


def close_share(hub_id: str, machine: str) -> None:
    """End what serves this machine; harmless when nothing does."""
    for pid, name in serving(hub_id):
        if name == machine:
            _kill(pid)


def sweep(hub_id: str, machines: Iterable[str]) -> None:
    """End what serves others than these."""
    kept = set(machines)
    for pid, name in serving(hub_id):
        if name not in kept:
            _kill(pid)


def serving(hub_id: str) -> Iterator[tuple[int, str]]:
    """The processes that serve this hub's machines, and which: as the kernel lists them."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue
        # Of the first process, of those in its root, and of each diod, whose parent ends it.
        if len(words) > 5 and words[-5] == INSIDE and words[-2] == hub_id:
            yield int(place.name), words[-1]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
