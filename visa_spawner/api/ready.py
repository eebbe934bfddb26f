"""The call by which a session says that it listens, and is given a certificate where it serves TLS."""

from __future__ import annotations

import json

from jupyterhub.apihandlers import default_handlers
from tornado import web

from visa_session.contract import READY_PATH

from ..inside.authority import LONGEST_REQUEST
from ..session import StartRefused
from ..start import encrypted
from .calls import SessionHandler

#: Bytes of a port, and of a request in JSON, written as generously as one likes.
_MAX_BODY = 200 + 2 * LONGEST_REQUEST


class ReadyHandler(SessionHandler):
    """A session says on which port it listens."""

    async def post(self):
        spawner = self.session()
        port, request = self._said()
        try:
            certificate = encrypted.certificate(spawner, request)
        except StartRefused as error:
            raise web.HTTPError(400, f"{error.field}: {error.words}") from None
        if not spawner.listens_on(port, encrypted=bool(certificate)):
            raise web.HTTPError(409, "port: this session has named another one before")
        if certificate:
            self.write(json.dumps({"certificate": certificate}))
        else:
            self.set_status(204)

    def _said(self) -> tuple[int, str]:
        try:
            body = json.loads(self.request.body) if len(self.request.body) <= _MAX_BODY else None
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or "port" not in body or not set(body) <= {"port", "request"}:
            raise web.HTTPError(400, 'port: the body must be {"port": N}, at most with "request" beside it')
        port, request = body["port"], body.get("request", "")
        if type(port) is not int or not 1 <= port <= 65535:
            raise web.HTTPError(400, "port: must be a whole number from 1 to 65535")
        if not isinstance(request, str):
            raise web.HTTPError(400, "request: must be a text")
        return port, request


def join_hub() -> None:
    """Add the call to the hub's own; harmless when done already. Must come before the hub starts."""
    if (rule := (f"/api/{READY_PATH}", ReadyHandler)) not in default_handlers:
        default_handlers.append(rule)
