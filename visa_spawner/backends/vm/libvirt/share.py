"""A person's directories for one machine: a process that is that person, in a root of nothing but these.

The guest mounts them by 9p. Whatever root of the guest says, the process here has no more rights than the
person and sees nothing else: a link of the guest's making leads nowhere, and raw data are mounted read-only
in its own root, so that no word of the guest changes them. It goes on when the hub is restarted: where
systemd runs, in a scope of its own, since systemd ends what is left in a service's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
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
#: Nothing of the hub's own environment, in which its secrets are.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
#: Where systemd runs, and what one share may take then: memory that is not cache, processes and threads.
SYSTEMD = Path("/run/systemd/system")
_BOUNDS = ("MemoryMax=2G", "TasksMax=4096")
#: Seconds that it may take to begin.
_PATIENCE = 20
#: Bytes of a process's command line that are looked at: anybody's, who may make theirs very long.
_LOOKED_AT = 1 << 10
_CANNOT = "The host of the machines cannot share data. Tell the facility's staff."
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
    # The network is not the host's: what it listens on it was given, and it needs no other.
    words = ["bwrap", "--clearenv", "--setenv", "VISA_SHARE", mark(hub_id, machine), "--new-session"]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"]
    words += ["--ro-bind", "/usr", "/usr", "--dev", "/dev"]
    for name in ("lib", "lib64", "bin", "sbin"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    words += ["--dir", "/etc", "--dir", "/share"]  # or they are root's alone
    words += ["--ro-bind", str(PROGRAM), INSIDE]
    words += ["--perms", "0444", "--ro-bind-data", str(names), "/etc/passwd"]
    for bind in binds:
        words += ["--ro-bind" if bind.read_only else "--bind", bind.source, export_of(bind.target)]
    for capability in _CAPABILITIES:
        words += ["--cap-add", capability]
    words += ["--chdir", "/", "/usr/bin/setpriv", f"--reuid={person.uid}", f"--regid={person.gid}"]
    words += [f"--groups={','.join(map(str, dict.fromkeys((person.gid, *person.gids))))}"]
    words += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
    return [*scope(machine), *words, PYTHON, "-I", INSIDE, mark(hub_id, machine), DIOD]


def export_of(target: str) -> str:
    """The name by which a directory is served, made of its place: it tells the host's accounts nothing."""
    return f"/share/{hashlib.sha256(target.encode()).hexdigest()[:16]}"


def scope(machine: str) -> list[str]:
    """What puts a command into a scope of its own; nothing where systemd does not run."""
    if not SYSTEMD.is_dir():
        return []
    words = ["systemd-run", "--scope", "--quiet", "--collect", f"--description=Data of {machine}"]
    return [*words, *(word for bound in _BOUNDS for word in ("-p", bound)), "--"]


def mark(hub_id: str, machine: str) -> str:
    """The word by which its processes are known, near the beginning of their command lines."""
    return f"visa-share:{hub_id}/{machine}"


async def open_share(
    person: Person, binds: Sequence[Bind], *, hub_id: str, machine: str, host: str, device: str
) -> Shared:
    """Begin to serve, and see that it does; raises Refused where this host cannot."""
    await asyncio.to_thread(close_share, hub_id, machine)
    for program in (DIOD, PYTHON, "/usr/bin/bwrap"):
        if not os.path.exists(program):
            raise Refused(_CANNOT, f"{program} is not installed")
    begun, beginning = os.pipe()
    with (
        socket.socket() as listening,
        os.fdopen(os.memfd_create("visa-share"), "w+b", buffering=0) as names,
        os.fdopen(os.memfd_create("visa-share-said"), "w+b", buffering=0) as said,
    ):
        try:
            # Heard on the machine's own line alone: no other machine and no program of the host comes here.
            listening.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device.encode())
            listening.bind((host, 0))
            listening.listen(16)
            # The one account that the server knows, by the name that the guest's kernel says.
            names.write(f"{SHARED_AS}:x:{person.uid}:{person.gid}::/:/usr/sbin/nologin\n".encode())
            names.seek(0)
            words = command(person, binds, hub_id, machine, names.fileno())
            await asyncio.create_subprocess_exec(
                *words,
                stdin=listening.fileno(),
                stdout=beginning,
                stderr=said.fileno(),
                pass_fds=[names.fileno()],
                start_new_session=True,
                cwd="/",
                env=_ENVIRONMENT,
            )
        except BaseException as error:
            os.close(begun)
            if isinstance(error, OSError):
                raise Refused(_CANNOT, f"{host} on {device}: {error}") from error
            raise
        finally:
            os.close(beginning)
        if not await asyncio.to_thread(_begins, begun):
            await asyncio.to_thread(close_share, hub_id, machine)
            raise Refused(_CANNOT, f"{machine}: its data are not served: {_end_of(said)}")
        return Shared(listening.getsockname()[1], tuple(export_of(bind.target) for bind in binds))


def _begins(begun: int) -> bool:
    """Whether the server has said that it serves; it closes its end when it cannot."""
    with os.fdopen(begun, "rb", buffering=0) as line:
        return bool(select.select([line], [], [], _PATIENCE)[0] and line.read(1))


def _end_of(said) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 500))
    return said.read().decode(errors="replace").strip() or "it said nothing"


def close_share(hub_id: str, machine: str) -> None:
    """End what serves this machine; harmless when nothing does."""
    for pid, name in serving(hub_id):
        if name == machine:
            _kill(pid, hub_id, name)


def sweep(hub_id: str, machines: Iterable[str]) -> None:
    """End what serves others than these."""
    kept = set(machines)
    for pid, name in serving(hub_id):
        if name not in kept:
            _kill(pid, hub_id, name)


def serving(hub_id: str) -> Iterator[tuple[int, str]]:
    """The processes that serve this hub's machines, and which: as the kernel lists them."""
    for place in Path("/proc").glob("[0-9]*"):
        # Of the first process and of those in its root, not of each diod, whose parent ends it.
        if machine := _served_by(int(place.name), hub_id):
            yield int(place.name), machine


def _served_by(pid: int, hub_id: str) -> str:
    """The machine that a process serves; "" where it serves none of this hub's."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
            words = file.read(_LOOKED_AT).decode(errors="replace").split("\0")
    except OSError:
        return ""
    ours = mark(hub_id, "")
    return next((word.removeprefix(ours) for word in words[:5] if word.startswith(ours)), "")


def _kill(pid: int, hub_id: str, machine: str) -> None:
    """Only if it is still that one: a number may be another process's by now."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _served_by(pid, hub_id) == machine:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(process)
