"""The calls by which an owner has a session stand still, and go on."""

from __future__ import annotations

import json

from jupyterhub.apihandlers import default_handlers
from tornado import web

from ..session import StartRefused
from .calls import AccountHandler


class MoveHandler(AccountHandler):
    """200 when it is done, 202 while it goes on by itself; a refusal in words that begin with the field."""

    async def post(self, owner_name: str, name: str, what: str):
        user = self.person()
        spawner = user.spawners.get(name) if user.name == owner_name else None
        if not name or spawner is None:
            raise web.HTTPError(404, f"session: there is none of that name that you may {what}")
        if not self.has_scope(f"servers!server={owner_name}/{name}"):
            raise web.HTTPError(403, "token: it is not good for this session")
        if self.request.body not in (b"", b"{}"):
            raise web.HTTPError(400, "body: must be empty")
        try:
            done = await (spawner.suspend() if what == "suspend" else spawner.resume())
        except StartRefused as error:
            raise web.HTTPError(error.status, f"{error.field or 'session'}: {error.words}") from None
        self.set_status(200 if done else 202)
        self.write(json.dumps({"done": done}))


_HANDLERS = [("/api/visa/sessions/([^/]+)/([^/]+)/(suspend|resume)", MoveHandler)]


def join_hub() -> None:
    """Add the calls to the hub's own; harmless when done already. Must come before the hub starts."""
    for handler in _HANDLERS:
        if handler not in default_handlers:
            default_handlers.append(handler)
