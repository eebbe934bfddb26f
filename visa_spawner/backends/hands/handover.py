"""Hand a waiting container's first process what makes it somebody's session, and hear its answer."""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import closing

from .places import Way
from .refusals import Refused, Silent

#: The directory, root's alone, and in it the socket on which a waiting container listens, once.
PLACE, NAME = "/run/visa", "handover"
#: Seconds for the whole of it: what is handed over is taken in some tenths.
PATIENCE = 10.0
#: Bytes of an answer at most.
_MOST = 1 << 16


def deliver(document: dict, pid: int) -> None:
    """Give the document to process `pid`; raises Refused in its own words, and Silent.

    The container's mounts have been entered, so that the path is the container's.
    """
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)) as line:
        line.settimeout(PATIENCE)
        _connect(line)
        of = struct.unpack("iII", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if of[:2] != (pid, 0):
            raise Refused("somebody else than the container's first process listens for the hand-over")
        try:
            line.sendall(json.dumps(document).encode())
            line.shutdown(socket.SHUT_WR)
            answer = _all(line)
        except OSError as error:
            raise Silent(f"the hand-over broke off: {error.strerror or error}") from error
    if answer.get("taken") is not True:
        words = answer.get("refused")
        raise (
            Refused(f"the container said no: {words}") if words else Silent("the hand-over was not answered")
        )


def _connect(line: socket.socket) -> None:
    try:
        way = Way(PLACE)
    except FileNotFoundError:
        raise Refused("the container does not wait for a hand-over") from None
    try:
        # From there, since a path of a socket is followed through links.
        os.fchdir(way.last)
        line.connect(NAME)
    except OSError as error:
        raise Refused(f"the container does not wait for a hand-over: {error.strerror or error}") from error
    finally:
        os.chdir("/")
        way.close()


def _all(line: socket.socket) -> dict:
    given = b""
    while chunk := line.recv(4096):
        given += chunk
        if len(given) > _MOST:
            break
    try:
        answer = json.loads(given)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
