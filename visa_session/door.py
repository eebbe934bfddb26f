"""The door of a waiting session: a unix socket on which root of the machine outside hands a document over.

Who knocks is known by the kernel's word alone. A process of this container has a number here, one from
outside has none, so nothing inside is heard, now or later; and the door is gone before anything of a
person's runs. Several may knock at a time: one that says nothing keeps nobody waiting. Only the standard
library.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Mapping

from .handover import LARGEST

#: In a directory that only root enters; made anew, so that a container that is started twice waits but once.
PATH = "/run/visa/handover"
#: Seconds a peer has for its whole document, and for taking the answer.
PATIENCE = 10.0
#: Peers heard at a time; the one that has been there longest gives way to the next.
MOST = 8
_CREDENTIALS = struct.Struct("iII")


class Door:
    """An open door; `handed` is the first whole document and who waits for its answer, None until then."""

    def __init__(self, selector: selectors.BaseSelector, path: str = PATH, *, machine: bool = False):
        """Make it and have the selector's reader call what its sockets stand for; raises OSError.

        `machine`: root of this very machine may hand over, since a whole machine has no outside that knocks.
        """
        os.makedirs(os.path.dirname(os.path.dirname(path)), exist_ok=True)
        os.mkdir(os.path.dirname(path), 0o700)
        self.handed: tuple[bytes, socket.socket] | None = None
        self._selector, self._path, self._machine = selector, path, machine
        #: What each peer has said, and until when it may; who came first is first.
        self._heard: dict[socket.socket, tuple[bytearray, float]] = {}
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listening.bind(path)
        self._listening.listen(MOST)
        selector.register(self._listening, selectors.EVENT_READ, self._let_in)

    @property
    def patience(self) -> float | None:
        """Seconds until `dismiss_late` has something to do; None for as long as nobody knocks."""
        ends = [end for _, end in self._heard.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def dismiss_late(self) -> None:
        """Hear those no more who have had their time."""
        now = time.monotonic()
        for peer in [peer for peer, (_, end) in self._heard.items() if end <= now]:
            self._dismiss(peer)

    def close(self) -> None:
        """Take the door away, and everybody at it but the one whose document it was."""
        self._selector.unregister(self._listening)
        self._listening.close()
        os.unlink(self._path)
        for peer in list(self._heard):
            self._dismiss(peer)

    def _let_in(self) -> None:
        try:
            peer, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        peer.setblocking(False)
        said = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, user, _ = _CREDENTIALS.unpack(said)
        if user != 0 or (process != 0 and not self._machine):
            peer.close()
            return
        if len(self._heard) >= MOST:
            self._dismiss(next(iter(self._heard)))
        self._heard[peer] = bytearray(), time.monotonic() + PATIENCE
        self._selector.register(peer, selectors.EVENT_READ, lambda: self._hear(peer))

    def _hear(self, peer: socket.socket) -> None:
        if peer not in self._heard or self.handed is not None:
            return
        document = self._heard[peer][0]
        try:
            part = peer.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(peer)
            return
        document += part
        if (not part and document) or len(document) > LARGEST:
            del self._heard[peer]
            self._selector.unregister(peer)
            self.handed = bytes(document), peer
        elif not part:
            self._dismiss(peer)

    def _dismiss(self, peer: socket.socket) -> None:
        del self._heard[peer]
        self._selector.unregister(peer)
        peer.close()


def answer(peer: socket.socket, words: Mapping) -> None:
    """Say one line to who handed over, and be done with it; one that has gone needs none."""
    try:
        peer.settimeout(PATIENCE)
        peer.sendall(json.dumps(words).encode() + b"\n")
    except OSError:
        pass
    finally:
        peer.close()
