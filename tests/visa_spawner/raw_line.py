"""A line through the proxy like a websocket's, held open, to a light session that gives back what it gets."""

import socket
from urllib.parse import urlsplit


class RawLine:
    def __init__(self, address):
        url = urlsplit(address)
        self._socket = socket.create_connection((url.hostname, url.port), timeout=20)
        asked = [
            f"GET {url.path}line HTTP/1.1",
            f"Host: {url.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        self._socket.sendall("\r\n".join([*asked, "", ""]).encode())
        said = b""
        while b"\r\n\r\n" not in said:
            piece = self._socket.recv(1000)
            assert piece, said
            said += piece
        assert b" 101 " in said.splitlines()[0], said

    def gives_back(self, words):
        """Whether the other end answers with the same words."""
        self._socket.sendall(words)
        found = b""
        while len(found) < len(words) and (piece := self._socket.recv(1000)):
            found += piece
        return found == words

    def close(self):
        self._socket.close()
