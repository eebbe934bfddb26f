"""The few parts of the RFB (VNC) protocol that a relay has to understand.

Reference: RFC 6143 and the community's rfbproto. Numbers are big-endian.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

VERSION = b"RFB 003.008\n"
SECURITY_NONE, SECURITY_VNC = 1, 2

SET_ENCODINGS, KEY_EVENT, POINTER_EVENT, CUT_TEXT, SET_DESKTOP_SIZE = 2, 4, 5, 6, 251
EXTENDED_DESKTOP_SIZE = -308
EXTENDED_MOUSE_BUTTONS = -316
EXTENDED_CLIPBOARD = -1063131698
QEMU_KEYS = -258

#: Messages of a fixed length, the type's byte included.
FIXED = {0: 20, 3: 10, KEY_EVENT: 8, POINTER_EVENT: 6, 150: 10, 250: 4}
QEMU, QEMU_KEY_LENGTH = 255, 12
FENCE = 248

#: Bytes of the longest message taken from a client: a clipboard of 4 MB and its frame.
LONGEST = 4 * 1024 * 1024 + 1024

#: What a person does at the desktop, as against what the page sends by itself.
INPUT = frozenset({KEY_EVENT, POINTER_EVENT, CUT_TEXT, QEMU})

#: All that whoever only watches may say: how pictures are to come, and when.
WATCHING = frozenset({0, SET_ENCODINGS, 3, 150, FENCE})

#: The key every VNC password file is "encrypted" with: the file's mode protects it, nothing else.
FILE_KEY = bytes((23, 82, 107, 6, 35, 78, 88, 7))


class ProtocolError(Exception):
    """A client or server sent what the protocol does not know."""


def new_password() -> str:
    """A random password as long as VNC's authentication looks at: 8 characters."""
    alphabet = string.ascii_letters + string.digits + "+-"
    return "".join(secrets.choice(alphabet) for _ in range(8))


def _des(key: bytes, text: bytes, mirrored: bool) -> bytes:
    # Imported when a desktop starts, not when the server does.
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    if mirrored:  # VNC's authentication reads the bits of the password's bytes backwards
        key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
    return encryptor.update(text) + encryptor.finalize()


def password_file(full: str, view_only: str) -> bytes:
    """What `vncpasswd` writes: the full-control password, then the view-only one."""
    return b"".join(
        _des(FILE_KEY, password.encode("ascii").ljust(8, b"\0"), mirrored=True)
        for password in (full, view_only)
    )


def answer_challenge(password: str, challenge: bytes) -> bytes:
    """The 16 bytes that prove the password to a VNC server."""
    return _des(password.encode("ascii").ljust(8, b"\0"), challenge, mirrored=True)


def websocket_head(length: int) -> bytes:
    """What stands before so many bytes in a binary websocket message of one frame, from a server."""
    if length < 126:
        return bytes((0x82, length))
    if length < 0x10000:
        return b"\x82\x7e" + length.to_bytes(2, "big")
    return b"\x82\x7f" + length.to_bytes(8, "big")


@dataclass
class ClientStream:
    """Takes a client's bytes after the handshake, gives whole messages that may be passed on.

    Two things are changed on the way. A client that asks for another size before it has said that it
    understands such changes makes TigerVNC 1.12 crash, so that request is dropped. And the encoding for
    more mouse buttons is struck out of the client's list, since it changes the length of pointer messages
    only where the server agrees: without it, client, relay and server count alike.

    Of somebody who is `watching`, what would act on the desktop is dropped here already, and the encodings
    for the clipboard and for keys are struck out. The VNC server ignores it all as well, by the password.
    """

    watching: bool = False
    _waiting: bytes = b""
    _may_resize: bool = False

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Bytes to pass on, and whether a person's doing was among them.

        Raises ProtocolError at a message that is unknown or too long.
        """
        self._waiting += data
        passed, active = [], False
        while (length := self._length()) and len(self._waiting) >= length:
            message, self._waiting = self._waiting[:length], self._waiting[length:]
            kind = message[0]
            if self.watching and kind not in WATCHING:
                continue
            active = active or kind in INPUT
            if kind == SET_ENCODINGS:
                message = self._encodings(message)
            elif kind == SET_DESKTOP_SIZE and not self._may_resize:
                continue
            passed.append(message)
        return b"".join(passed), active

    def _encodings(self, message: bytes) -> bytes:
        encodings = [message[i : i + 4] for i in range(4, len(message), 4)]
        unwanted = [EXTENDED_MOUSE_BUTTONS, *([EXTENDED_CLIPBOARD, QEMU_KEYS] if self.watching else [])]
        struck = {encoding.to_bytes(4, "big", signed=True) for encoding in unwanted}
        encodings = [encoding for encoding in encodings if encoding not in struck]
        self._may_resize = EXTENDED_DESKTOP_SIZE.to_bytes(4, "big", signed=True) in encodings
        return message[:2] + len(encodings).to_bytes(2, "big") + b"".join(encodings)

    def _length(self) -> int:
        """Length of the message that begins the buffer; 0 while that cannot be told yet."""
        buffer = self._waiting
        if not buffer:
            return 0
        kind, length = buffer[0], 0
        if kind in FIXED:
            length = FIXED[kind]
        elif kind == SET_ENCODINGS and len(buffer) >= 4:
            length = 4 + 4 * int.from_bytes(buffer[2:4], "big")
        elif kind == CUT_TEXT and len(buffer) >= 8:
            # A negative length marks the extended clipboard; its size is what it is without the sign.
            length = 8 + abs(int.from_bytes(buffer[4:8], "big", signed=True))
        elif kind == FENCE and len(buffer) >= 9:
            length = 9 + buffer[8]
        elif kind == SET_DESKTOP_SIZE and len(buffer) >= 8:
            length = 8 + 16 * buffer[6]
        elif kind == QEMU and len(buffer) >= 2:
            if buffer[1] != 0:
                raise ProtocolError(f"QEMU message {buffer[1]}")
            length = QEMU_KEY_LENGTH
        elif kind not in (SET_ENCODINGS, CUT_TEXT, FENCE, SET_DESKTOP_SIZE, QEMU):
            raise ProtocolError(f"client message {kind}")
        if length > LONGEST:
            raise ProtocolError(f"a message of {length} bytes")
        return length
