"""A whole machine that waits, and the moment in which it becomes somebody's: `visa-session --hand-over`.

Root of the machine runs it for whoever runs the machine, by the guest agent or at the end of a one-time
claim. It reads one document, gives the machine its place in the network and the person's directories, and
hands the rest over at the door of the session that waits (`waiting.py`). Only the standard library.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path

from . import door
from .handover import LARGEST, Refused

#: Seconds for which the session that waits is waited for, and for which an address may take to be there.
PATIENCE, ADDRESS_LIMIT = 120.0, 20.0
#: Where the network's own service looks for what holds until the machine ends.
NETWORK = Path("/run/systemd/network/10-visa.network")
#: The name by which the person's directories are asked for; who that is, their server knows.
SHARED_AS = "person"
#: Bytes of one message: what the kernel's client takes at most over TCP.
_MESSAGE = 1 << 20
_EXPORT = re.compile(r"/[A-Za-z0-9/_-]{1,100}")


@dataclass(frozen=True)
class Network:
    """The machine's own address with its prefix, the way out ("" for none), and servers of names."""

    address: str
    gateway: str
    dns: tuple[str, ...]


@dataclass(frozen=True)
class Mount:
    """One directory of the person's: a server's address, port and name for it, and where it stands here.

    `uid` is the only account that may go through it: the server acts as that account alone. `kind` is `9p`
    or `nfs`; of NFS the server itself says whose rights whoever asks has.
    """

    server: str
    port: int
    export: str
    target: str
    read_only: bool
    uid: int
    kind: str = "9p"


@dataclass(frozen=True)
class Given:
    """A document: the network is None where the machine has found its own; `session` is for the door."""

    network: Network | None
    mounts: tuple[Mount, ...]
    hostname: str
    session: bytes


def read(document: bytes) -> Given:
    """What a document says; raises Refused where it is no such thing."""
    try:
        if len(document) > LARGEST:
            raise ValueError("too long")
        values = json.loads(document)
        if set(values) != {"network", "mounts", "session"}:
            raise ValueError("other names than ours")
        network = values["network"] and Network(
            str(ip_interface(values["network"]["address"])),
            str(ip_address(values["network"]["gateway"])) if values["network"]["gateway"] else "",
            tuple(str(ip_address(one)) for one in values["network"]["dns"]),
        )
        mounts = tuple(mount_from(one) for one in values["mounts"])
        session = values["session"]
        return Given(network or None, mounts, str(session["hostname"]), json.dumps(session).encode())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # Not the parser's own words, which quote what they stumbled over.
        raise Refused("The machine's document is not whole, or says what it must not.") from error


def mount_from(values: dict) -> Mount:
    """A mount, by its values; raises ValueError, TypeError, KeyError."""
    made = Mount(**values)
    fits = type(made.port) is int and type(made.uid) is int and made.uid > 0 and type(made.read_only) is bool
    named = is_plain(made.export) if made.kind == "nfs" else _EXPORT.fullmatch(made.export)
    if not is_plain(made.target) or not fits or not named or made.kind not in ("9p", "nfs"):
        raise ValueError("a directory that is no plain place")
    ip_address(made.server)
    return made


def is_plain(path: str) -> bool:
    """Whether it is an absolute path below `/` without anything to interpret."""
    begin, *parts = path.split("/")
    return not begin and bool(parts) and "\0" not in path and not any(one in ("", ".", "..") for one in parts)


def become(given: Given, run: Callable[..., None] | None = None) -> dict:
    """Make the machine what the document says; the session's own answer. Raises Refused."""
    run = run or run_command
    # There is somebody to hand it to; who knocks and says nothing for seconds is dismissed.
    knock(door.PATH, PATIENCE).close()
    try:
        if given.network:
            _settle(given.network, run)
        for mount in given.mounts:
            os.makedirs(mount.target, exist_ok=True)
            run("mount", *arguments(mount))
        if given.hostname:
            socket.sethostname(given.hostname)
        with knock(door.PATH, PATIENCE) as at_door:
            at_door.sendall(given.session)
            at_door.shutdown(socket.SHUT_WR)
            answer = json.loads(at_door.makefile("rb").readline(1 << 16) or b"null")
    except (OSError, ValueError) as error:
        raise Refused(f"The machine could not become the session's: {error}") from error
    if not isinstance(answer, dict):
        raise Refused("The session that waited gave no answer.")
    return answer


def arguments(mount: Mount) -> list[str]:
    """What `mount` is told."""
    if mount.kind == "nfs":
        # `-i`: by the kernel alone, without the programs of NFS's, of which one listens.
        server = f"[{mount.server}]" if ":" in mount.server else mount.server
        return ["-i", "-t", "nfs4", "-o", options(mount), f"{server}:{mount.export}", mount.target]
    return ["-t", "9p", "-o", options(mount), mount.server, mount.target]


def options(mount: Mount) -> str:
    """How the kernel mounts it: nothing on it is a program with more rights, or a device."""
    how = ["ro" if mount.read_only else "rw", "nosuid", "nodev"]
    if mount.kind == "nfs":
        how += ["vers=4.2", "proto=tcp", "hard", "sec=sys", f"port={mount.port}", f"addr={mount.server}"]
        return ",".join([*how, "clientaddr=0.0.0.0"])
    how += ["trans=tcp", f"port={mount.port}"]
    # `mmap`: what programs map and write must reach the file, as sqlite's do; nothing else is kept back.
    how += ["version=9p2000.L", f"msize={_MESSAGE}", "cache=mmap", f"aname={mount.export}"]
    return ",".join([*how, f"uname={SHARED_AS}", f"dfltuid={mount.uid}", f"access={mount.uid}"])


def network_file(network: Network) -> str:
    """The network's settings, as systemd-networkd reads them."""
    lines = ["[Match]", "Type=ether", "[Network]", f"Address={network.address}", "LinkLocalAddressing=no"]
    lines += [f"DNS={one}" for one in network.dns]
    if network.gateway:
        lines += ["[Route]", f"Gateway={network.gateway}", "GatewayOnLink=yes"]
    return "\n".join(lines) + "\n"


def merged(before: str, after: str) -> str:
    """A list of names, such as /etc/passwd, as a session has it, and the machine's own that it lacks.

    The machine's services keep the names that they run under; nobody gets a number that is the session's.
    """
    lines = after.splitlines()
    names = {line.split(":")[0] for line in lines}
    numbers = {line.split(":")[2] for line in lines}
    more = [line for line in before.splitlines() if len(line.split(":")) > 3]
    kept = [one for one in more if one.split(":")[0] not in names and one.split(":")[2] not in numbers]
    return "\n".join([*lines, *kept]) + "\n"


@contextmanager
def keeping_own_names(etc: Path = Path("/etc")) -> Iterator[None]:
    """Have the machine's own names in its lists after they were written anew."""
    before = {name: (etc / name).read_text() for name in ("passwd", "group")}
    yield
    for name, text in before.items():
        (etc / name).write_text(merged(text, (etc / name).read_text()))


def knock(path: str, seconds: float) -> socket.socket:
    """The door of the session that waits, as soon as there is one."""
    end = time.monotonic() + seconds
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(path)
        except OSError:
            line.close()
            if time.monotonic() > end:
                raise Refused("No session waits on this machine.") from None
            time.sleep(0.2)  # the session says nothing until it is there
        else:
            line.settimeout(PATIENCE)
            return line


def _settle(network: Network, run: Callable[..., None]) -> None:
    NETWORK.parent.mkdir(parents=True, exist_ok=True)
    NETWORK.write_text(network_file(network))
    NETWORK.chmod(0o644)
    run("networkctl", "reload")
    address = str(ip_interface(network.address).ip)
    end = time.monotonic() + ADDRESS_LIMIT
    while not _is_ours(address):
        if time.monotonic() > end:
            raise Refused("The machine's network did not take its address.")
        time.sleep(0.05)  # systemd-networkd says nothing when it is done


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        try:
            one.bind((address, 0))
        except OSError:
            return False
    return True


def run_command(*command: str) -> None:
    """Run a command; raises Refused, in its own words, where that fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Refused(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")


def main() -> int:
    """Read the document on standard input, and say on standard output how it went, as JSON."""
    try:
        answer = become(read(sys.stdin.buffer.read(LARGEST + 1)))
    except Refused as refused:
        answer = {"refused": str(refused)}
    print(json.dumps(answer), flush=True)
    return 0 if answer.get("taken") is True else 1
