"""A datagram socket that stands where the journal's would be, and reads its protocol as it is documented.

What journald itself makes of such records is looked at on a deployed site: tests/ansible/test_one_machine.py.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from pathlib import Path

import pytest


class Journal:
    """Reads records, as https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ has them."""

    def __init__(self, path: Path):
        self.path = path
        self.descriptors = 0
        self.open()

    def open(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)

    def close(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def read(self) -> dict[str, str]:
        """The next record."""
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, kind, value in ancillary:
            assert kind == socket.SCM_RIGHTS and data == b""
            (file,) = array.array("i", value)
            self.descriptors += 1
            data = os.pread(file, os.fstat(file).st_size, 0)
            os.close(file)
        return dict(_fields(data))

    def all(self) -> list[dict[str, str]]:
        """The records that are there."""
        self.socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.read())
        except BlockingIOError:
            self.socket.settimeout(10)
        return found


def _fields(data: bytes):
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", data[:8])
            value, end, data = data[8 : 8 + size], data[8 + size : 9 + size], data[9 + size :]
            assert end == b"\n"
        yield name.decode(), value.decode()


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()
