"""Between a hub and libvirtd: passes on every byte, and counts what is asked, by the number of the procedure.

libvirt's protocol: each packet begins with its length, its program, version, procedure, type and serial, four
bytes each, big end first; type 0 is a question.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.libvirt import SOCKET

_HEAD = struct.Struct(">IIIIII")
#: The program of questions about machines; others keep the line alive, or speak to guests.
REMOTE, QUESTION = 0x20008086, 0


class Asked:
    """Reads what goes to libvirtd, part by part, and counts."""

    def __init__(self, counts: Counter[int]):
        self._counts, self._rest = counts, b""

    def take(self, part: bytes) -> None:
        """Count what is whole by now."""
        self._rest += part
        while len(self._rest) >= _HEAD.size:
            length, program, _, procedure, kind, _ = _HEAD.unpack_from(self._rest)
            if len(self._rest) < length:
                return
            if (program, kind) == (REMOTE, QUESTION):
                self._counts[procedure] += 1
            self._rest = self._rest[length:]


class Relay:
    """A socket that stands for libvirtd's own; `counts` are the questions so far."""

    def __init__(self, path: Path):
        self.path, self.counts = path, Counter()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def uri(self) -> str:
        """The libvirt to ask, by way of this."""
        return f"qemu+unix:///system?socket={self.path}"

    @property
    def asked(self) -> int:
        """How many questions there were."""
        return sum(self.counts.values())

    def close(self) -> None:
        """No new lines; those that are open end with whoever opened them."""
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                hub, _ = self._listening.accept()
            except OSError:
                return
            libvirtd = socket.socket(socket.AF_UNIX)
            libvirtd.connect(str(SOCKET))
            asked = Asked(self.counts)
            for source, target, look in ((hub, libvirtd, asked.take), (libvirtd, hub, None)):
                threading.Thread(target=_pass_on, args=(source, target, look), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, look) -> None:
    try:
        while part := source.recv(1 << 16):
            if look is not None:
                look(part)
            target.sendall(part)
    except OSError:
        pass
    finally:
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@contextmanager
def relay(path: Path) -> Iterator[Relay]:
    """A relay while inside."""
    made = Relay(path)
    try:
        yield made
    finally:
        made.close()
