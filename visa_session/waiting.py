"""`visa-session --wait`: a session that is all but started, and nobody's until a document says whose.

It is the first process of its container or, with `--machine`, a service of a whole machine: root, with the
standard library alone. It opens the door; its child imports the server. Once the document is there, its files
are unpacked, the child becomes the person, then this process does. From then on there is no difference to a
session that was started for that person.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from . import door, handover, hostname, person
from .checks import NotFit
from .contract import EXIT_BAD_INFO, EXIT_NOT_WAITING, SessionInfo
from .handover import Handover, Refused
from .machine import keeping_own_names
from .runtime import prepare_imports
from .secret import hide_process
from .signals import readable_when
from .supervise import HEARD, STOP_SIGNALS, begin_supervising, end_with, fork_server, reap
from .unpacking import unpack

#: Seconds the child has for importing the server and becoming the person, once somebody waits for it.
CHILD_LIMIT = 60.0
#: What the child says, a byte each.
IMPORTED, IS_PERSON = b"i", b"p"


class Waiting:
    """The child that waits, seen from the first process."""

    def __init__(self) -> None:
        self._line, childs = socket.socketpair()
        self.process = fork_server(lambda: _wait_to_serve(childs, self._line))
        childs.close()
        self.said = b""

    def fileno(self) -> int:
        return self._line.fileno()

    def hear(self) -> None:
        """Take what the child says; raises NotFit when it has ended."""
        part = self._line.recv(16)
        if not part:
            raise NotFit(EXIT_NOT_WAITING, "The server that waited for its person has ended.")
        self.said += part
        if part == IMPORTED:
            print("visa-session: waiting for a person", flush=True)

    def become(self, who: Handover) -> None:
        """Have the child become the person: it says when it has."""
        _give(self._line, {"uid": who.uid, "gid": who.gid, "gids": who.gids})

    def serve(self, info: SessionInfo, listening: socket.socket, runtime: Path, token: str) -> int:
        """Have the child serve, with this process's environment; its process id."""
        values = {"info": info.to_json(), "runtime": str(runtime), "token": token}
        _give(self._line, values | {"environment": dict(os.environ)}, listening.fileno())
        self._line.close()
        # The socket stays open here too, so that nobody takes the address while a session is being ended.
        return self.process


def wait(machine: bool = False) -> Waiting:
    """Wait until somebody hands this session over, and be that person's; the environment is then theirs.

    `machine`: as a service of a machine that is all the session's, rather than in a container.

    Ends the process with 0 when it is told to stop meanwhile. Raises NotFit when nobody's session can come
    of it.
    """
    if os.geteuid() != 0 or (os.getpid() != 1 and not machine):
        raise NotFit(EXIT_BAD_INFO, "A session waits as root, and as the first process of its container.")
    begin_supervising()
    name = os.uname().nodename
    child = Waiting()
    with selectors.DefaultSelector() as selector, readable_when(HEARD) as signals:
        selector.register(signals, selectors.EVENT_READ, lambda: _heed(child))
        selector.register(child, selectors.EVENT_READ, child.hear)
        # The door of a machine is how those outside see that it waits: with all done that takes time.
        while machine and IMPORTED not in child.said:
            _turn(selector, None)
        try:
            at_door = door.Door(selector, machine=machine)
        except OSError as error:
            words = f"This container cannot wait for a person, or has done so before: {error.strerror}."
            raise NotFit(EXIT_NOT_WAITING, words) from error
        while at_door.handed is None:
            _turn(selector, at_door.patience)
            at_door.dismiss_late()
        at_door.close()
        document, peer = at_door.handed
        try:
            _become(document, child, name, machine, lambda: _until_person(child, selector))
        except BaseException as error:
            words = (
                str(error)
                if isinstance(error, Refused | NotFit)
                else "The hand-over failed in this container."
            )
            door.answer(peer, {"refused": words})
            if isinstance(error, Refused):
                raise NotFit(EXIT_BAD_INFO, f"The hand-over is refused: {words}") from error
            raise
        door.answer(peer, {"taken": True})
    return child


def _become(
    document: bytes, child: Waiting, old_name: str, machine: bool, until_person: Callable[[], None]
) -> None:
    """From a document to a container of the person's alone; raises Refused, NotFit."""
    who = handover.read(document)
    with keeping_own_names() if machine else nullcontext():
        unpack(who.files)
    if who.hostname:
        hostname.follow(old_name, who.hostname, os.environ)
    _share_output()
    child.become(who)
    until_person()
    person.become(who)
    os.environ.update(who.environment)
    time.tzset()


def _turn(selector: selectors.BaseSelector, seconds: float | None) -> None:
    for key, _ in selector.select(seconds):
        key.data()


def _until_person(child: Waiting, selector: selectors.BaseSelector) -> None:
    deadline = time.monotonic() + CHILD_LIMIT
    while IS_PERSON not in child.said:
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotFit(EXIT_NOT_WAITING, "The server that waited for its person does not answer.")
        _turn(selector, left)


def _heed(child: Waiting) -> None:
    """Do what a signal asks for while this session is nobody's."""
    while heard := signal.sigtimedwait(HEARD, 0):
        if heard.si_signo in STOP_SIGNALS:
            sys.exit(0)  # the kernel ends the child with the first process
    if child.process in reap():
        raise NotFit(EXIT_NOT_WAITING, "The server that waited for its person has ended.")


def _share_output() -> None:
    """Let the person's programs open their output by name, as an engine does where it starts a person."""
    for descriptor in (1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o666)


# In the child -------------------------------------------------------------------------------------------
def _wait_to_serve(line: socket.socket, parents: socket.socket) -> int:
    """Import, wait, become the person, serve; the exit code."""
    from .server import import_all, serve

    parents.close()
    prepare_imports(os.environ)
    import_all()
    from .schemas import check_beforehand

    check_beforehand()
    line.sendall(IMPORTED)
    values, _ = _take(line)
    who = Handover(values["uid"], values["gid"], tuple(values["gids"]), {}, b"", "")
    person.become(who)
    end_with(os.getppid())
    hide_process()
    line.sendall(IS_PERSON)
    values, (listening,) = _take(line)
    line.close()
    os.environ.clear()
    os.environ.update(values["environment"])
    time.tzset()
    os.chdir(os.environ["HOME"])
    bound = socket.socket(fileno=listening)
    bound.setblocking(False)
    return serve(SessionInfo.from_json(values["info"]), bound, Path(values["runtime"]), values["token"])


# Between the two ----------------------------------------------------------------------------------------
def _give(line: socket.socket, values: dict, *descriptors: int) -> None:
    """Give values to the child, in a file without a name: as large as they are, and in one message."""
    with open(os.memfd_create("visa-session"), "w+") as file:
        json.dump(values, file)
        file.flush()
        socket.send_fds(line, [b"."], [file.fileno(), *descriptors])


def _take(line: socket.socket) -> tuple[dict, list[int]]:
    """What `_give` gave; ends the process where nothing comes any more."""
    said, descriptors, _, _ = socket.recv_fds(line, 1, 2)
    if not said:
        sys.exit(EXIT_NOT_WAITING)
    with open(descriptors[0]) as file:
        file.seek(0)
        return json.load(file), descriptors[1:]
