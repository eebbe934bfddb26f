"""The scripts that JupyterLab's pages begin with, as the hub serves them."""

from __future__ import annotations

import gzip
import hashlib

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from visa_spawner.api import bootscripts
from visa_spawner.api.bootscripts import HANDLERS, BootScripts

TEXT = b"let one = 1;\n" * 1000
DIGEST = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
async def address(monkeypatch):
    """Where a hub's API would have them; it holds one."""
    held = BootScripts()
    held.put(gzip.compress(TEXT))
    monkeypatch.setattr(bootscripts, "held", held)
    server = HTTPServer(Application(HANDLERS))
    (socket, *_) = sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/api/visa/boot/"
    server.stop()


async def test_one_is_kept_by_browsers_for_ever_and_comes_compressed(address):
    async with httpx.AsyncClient(trust_env=False) as client:
        zipped = await client.get(f"{address}{DIGEST}.js")
    assert zipped.content == TEXT
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert int(zipped.headers["Content-Length"]) < len(TEXT) / 10
    assert zipped.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert zipped.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert zipped.headers["X-Content-Type-Options"] == "nosniff"
    assert zipped.headers["Vary"] == "Accept-Encoding"
    assert "Set-Cookie" not in zipped.headers


async def test_it_is_not_unpacked_for_anybody(address):
    """Whoever asks, without a login: it would be work of the hub's own."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{address}{DIGEST}.js", headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 404
    assert "max-age" not in answer.headers.get("Cache-Control", "")


async def test_what_is_not_here_is_not_kept_by_anybody(address):
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{address}{'0' * 64}.js")
    assert answer.status_code == 404
    assert "max-age" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize("zipped", [b"", b"let one;", gzip.compress(TEXT)[:-20], gzip.compress(b"")])
def test_what_is_no_script_is_refused(zipped):
    with pytest.raises(ValueError, match="script"):
        BootScripts().put(zipped)


def test_one_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(bootscripts, "LARGEST", 5000)
    with pytest.raises(ValueError, match="bytes"):
        BootScripts().put(gzip.compress(TEXT))


def test_the_one_nobody_asks_for_goes_first():
    held = BootScripts()
    digests = [held.put(gzip.compress(b"%d" % number)) for number in range(bootscripts.MOST)]
    assert held.get(digests[0])
    held.put(gzip.compress(b"one more"))
    assert held.get(digests[0])
    assert held.get(digests[1]) is None
