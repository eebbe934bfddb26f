"""The port at which machines redeem their claims: TLS, two calls, and nothing else behind it.

Guests reach it that may be anybody's, so it believes nothing, holds little, and waits for nobody long.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import resource
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.log import app_log, gen_log
from tornado.web import Application, RequestHandler

from ..provider import Refused, Silent
from .claims import Claims, Denied, NotNow

#: Bytes of a question; connections at a time, of one address and of all; seconds for a whole question.
_LARGEST, _MOST, _MOST_OF_ALL, _PATIENCE = 4096, 8, 512, 15
#: Seconds in which one TLS handshake that fails is told.
_SAME = 60.0


def most_of_all() -> int:
    """Connections at a time: the hub itself must have files left to open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_OF_ALL if files == resource.RLIM_INFINITY else min(_MOST_OF_ALL, files // 4)


class Fewer(logging.Filter):
    """Strangers' handshakes that fail are not for filling the hub's log."""

    _told = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith("SSL Error on"):
            return True
        if time.monotonic() - self._told < _SAME:
            return False
        self._told = time.monotonic()
        return True


_FEWER = Fewer()


def fingerprint(certificate: str) -> str:
    """By which machines know a certificate in a PEM file; raises OSError, ValueError."""
    text = Path(certificate).read_text()
    begin = text.index("-----BEGIN CERTIFICATE-----")
    end = text.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:end])).hexdigest()


class Listener:
    """The port, while it is open."""

    def __init__(self, claims: Claims, *, host: str, port: int, certificate: str, key: str):
        """Open it; raises OSError, also for files that are no certificate and key. Needs a running loop."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        #: By which machines know it: of what is served here, whatever the file holds later.
        self.fingerprint = fingerprint(certificate)
        routes = [("/claim", Claim, {"claims": claims}), ("/taken", Taken, {"claims": claims})]
        self._server = _Server(
            # The hub's own log of requests is not for strangers to fill.
            Application(routes, default_handler_class=Nothing, log_function=lambda handler: None),
            ssl_options=context,
            idle_connection_timeout=_PATIENCE,
            body_timeout=_PATIENCE,
            max_header_size=_LARGEST,
            max_body_size=_LARGEST,
            no_keep_alive=True,
        )
        gen_log.addFilter(_FEWER)
        self._server.listen(port, host)

    def close(self) -> None:
        """Hear nobody any more; who was being heard is let go."""
        self._server.stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the process ends
        self._closing = loop.create_task(self._server.close_all_connections())


class _Server(HTTPServer):
    """Bounds what one address, and all together, can have open."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self._open: Counter[str] = Counter()
        self._most_of_all = most_of_all()

    def handle_stream(self, stream: IOStream, address: tuple) -> None:
        if self._open[address[0]] >= _MOST or self._open.total() >= self._most_of_all:
            stream.close()
            return
        self._open[address[0]] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        super().on_close(server_conn)
        peer = server_conn.context.address[0]
        self._open[peer] -= 1
        if self._open[peer] <= 0:
            del self._open[peer]


class _Call(RequestHandler):
    """A question of a machine's, as JSON; it is told in one sentence what is refused."""

    def initialize(self, claims: Claims) -> None:
        self.claims = claims

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")

    def check_xsrf_cookie(self) -> None:
        """No browser comes here, and no cookie counts."""

    def asked(self, *names: str) -> list[Any] | None:
        """What the question says of these names and no others; None where it does not, and is answered."""
        try:
            values = json.loads(self.request.body)
            if isinstance(values, dict) and set(values) == set(names):
                return [values[name] for name in names]
        except (ValueError, RecursionError):
            pass
        self.say(400, "The question is not whole.")
        return None

    def say(self, status: int, words: str) -> None:
        self.set_status(status)
        self.finish({"refused": words})

    def fault(self, error: Exception) -> None:
        """Something is wrong with us; the machine asks again."""
        app_log.error("A claim could not be answered: %s: %s", type(error).__name__, ascii(str(error))[:200])
        self.say(503, "Ask again in a moment.")

    @property
    def peer(self) -> str:
        """Where the question came from, by the connection alone."""
        return str(self.request.remote_ip).removeprefix("::ffff:")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"refused": "That cannot be answered."})


class Claim(_Call):
    """Show a claim: the document, or that there is none yet."""

    _showing: asyncio.Task | None = None

    async def post(self) -> None:
        asked = self.asked("claim")
        if asked is None:
            return
        try:
            self._showing = asyncio.create_task(self.claims.show(str(asked[0]), self.peer))
            document = await self._showing
        except asyncio.CancelledError:
            return  # nobody is there any more
        except Denied:
            self.say(403, "This claim is good for nothing.")  # and nothing of why, to whoever tries
            return
        except (NotNow, Silent, Refused):
            self.say(503, "Ask again in a moment.")
            return
        except Exception as error:  # a traceback for each is not for strangers to make
            self.fault(error)
            return
        if document is None:
            self.set_status(204)
            await self.finish()
            return
        self.set_header("Content-Type", "application/json")
        await self.finish(document)

    def on_connection_close(self) -> None:
        if self._showing is not None:
            self._showing.cancel()


class Taken(_Call):
    """Say how it went."""

    async def post(self) -> None:
        asked = self.asked("receipt", "answer")
        if asked is None:
            return
        receipt, answer = asked
        try:
            self.claims.told(str(receipt), self.peer, answer if isinstance(answer, dict) else {})
        except Denied:
            self.say(403, "Nobody waits for this.")
            return
        except Exception as error:
            self.fault(error)
            return
        self.set_status(204)
        await self.finish()


class Nothing(_Call):
    """All other addresses."""

    def initialize(self) -> None:
        pass

    def prepare(self) -> None:
        self.say(404, "There is nothing here.")
