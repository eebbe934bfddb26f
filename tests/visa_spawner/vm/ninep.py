"""A client of 9p by hand: what root of a guest could say to whoever serves it, in as many words."""

import os
import socket
import struct

NOFID, NONUNAME = 0xFFFFFFFF, 0xFFFFFFFF


class Ninep:
    """One connection; each call raises OSError with the server's errno."""

    def __init__(self, host, port, device=""):
        self.line = socket.socket()
        self.line.settimeout(10)
        if device:
            self.line.setsockopt(socket.SOL_SOCKET, 25, device.encode())
        self.line.connect((host, port))
        self._fids = iter(range(1, 1000))
        self.call(100, struct.pack("<I", 65536) + _text("9P2000.L"), tag=0xFFFF)

    def call(self, kind, body, tag=1):
        self.line.sendall(struct.pack("<IBH", 7 + len(body), kind, tag) + body)
        size, answered, _ = struct.unpack("<IBH", self._take(7))
        body = self._take(size - 7)
        if answered == 7:
            number = struct.unpack("<I", body)[0]
            raise OSError(number, os.strerror(number))
        assert answered == kind + 1
        return body

    def _take(self, count):
        data = b""
        while len(data) < count:
            part = self.line.recv(count - len(data))
            if not part:
                raise ConnectionError("the server ended it")
            data += part
        return data

    def attach(self, export, name="", uid=NONUNAME):
        fid = next(self._fids)
        self.call(104, struct.pack("<II", fid, NOFID) + _text(name) + _text(export) + struct.pack("<I", uid))
        return fid

    def walk(self, fid, *names):
        new = next(self._fids)
        parts = self.call(110, struct.pack("<IIH", fid, new, len(names)) + b"".join(map(_text, names)))
        if struct.unpack("<H", parts[:2])[0] < len(names):
            raise OSError(2, "no such file")
        return new

    def read(self, fid):
        self.call(12, struct.pack("<II", fid, 0))
        return self.call(116, struct.pack("<IQI", fid, 0, 4096))[4:]

    def write(self, fid, data):
        self.call(12, struct.pack("<II", fid, 1))
        self.call(118, struct.pack("<IQI", fid, 0, len(data)) + data)

    def create(self, fid, name, mode=0o644):
        new = self.walk(fid)
        self.call(14, struct.pack("<I", new) + _text(name) + struct.pack("<III", 1, mode, 0))
        return new

    def symlink(self, fid, name, target):
        self.call(16, struct.pack("<I", fid) + _text(name) + _text(target) + struct.pack("<I", 0))

    def own(self, fid, uid, mode=None):
        valid = 2 | (1 if mode is not None else 0)
        self.call(26, struct.pack("<IIIII5Q", fid, valid, mode or 0, uid, 0, 0, 0, 0, 0, 0))


def _text(words):
    data = words.encode()
    return struct.pack("<H", len(data)) + data
