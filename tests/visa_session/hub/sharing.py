"""The hub's side of sharing, as far as a session sees it: what a test says is what its sessions are told.

`PUT tests/table/OWNER/NAME` sets a session's table, which outlives the hub; `GET tests/heard` is what
sessions have posted; `PUT tests/answer` is how the next of their calls are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

TABLES = Path("tables.json")
_readers: dict[str, set[asyncio.Event]] = {}
_heard: list[dict] = []
_answer: dict = {}


def line_of(key: str | None) -> int:
    """The status that a session's line is answered with in place of its table; 0 for none."""
    return _answer.get("line", 0) if _answer.get("of", key) == key else 0


def tables() -> dict:
    return json.loads(TABLES.read_text()) if TABLES.exists() else {}


class OfSession(APIHandler):
    """A call by a session's own token."""

    def session(self) -> str | None:
        token = orm.APIToken.find(self.db, self.get_auth_token())
        for spawner in getattr(self.current_user, "spawners", {}).values():
            if spawner.server and token and token.note == f"Server at {spawner.server.base_url}":
                return f"{self.current_user.name}/{spawner.name}"
        return None

    def check_xsrf_cookie(self):
        pass


class Line(OfSession):
    @authenticated
    async def get(self):
        key = self.session()
        if line_of(key) or key is None:
            self.set_status(line_of(key) or 403)
            return
        changed, self.over = asyncio.Event(), False
        self.changed = changed
        _readers.setdefault(key, set()).add(changed)
        try:
            while not self.over and not line_of(key):
                changed.clear()
                table = tables().get(key) or EMPTY
                self.write(json.dumps(table) + "\n")
                await self.flush()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), table["trust_seconds"] / 3)
        except StreamClosedError:
            pass
        finally:
            _readers[key].discard(changed)

    def on_connection_close(self):
        self.over = True
        if hasattr(self, "changed"):
            self.changed.set()


EMPTY = {"members": [], "owner": {}, "away": "leave", "trust_seconds": 60, "requests": [], "help": None}


class Heard(OfSession):
    """Any call of a session's that changes something."""

    async def answer(self, *path):
        body = json.loads(self.request.body) if self.request.body else None
        _heard.append({"who": self.session(), "call": f"{self.request.method} {self.request.path}"})
        _heard[-1]["body"] = body
        status, words = _answer.get("calls") or (204, "")
        self.set_status(status)
        if words:
            self.finish({"message": words, "status": status})

    post = delete = authenticated(answer)


class SetTable(APIHandler):
    @needs_scope("admin:servers")
    def put(self, key):
        TABLES.write_text(json.dumps(tables() | {key: self.get_json_body()}))
        for changed in _readers.get(key, ()):
            changed.set()
        self.set_status(204)


class SetAnswer(APIHandler):
    @needs_scope("admin:servers")
    def put(self):
        _answer.clear()
        _answer.update(self.get_json_body())
        if _answer.get("line"):
            for changed in [one for readers in _readers.values() for one in readers]:
                changed.set()
        self.set_status(204)


class TellHeard(APIHandler):
    @needs_scope("admin:servers")
    def get(self):
        self.finish({"heard": _heard})


class TellToken(APIHandler):
    @needs_scope("admin:servers")
    def get(self, owner, name):
        self.finish({"token": self.find_user(owner).spawners[name].api_token})


HANDLERS = [
    (r"/api/visa/line", Line),
    (r"/api/visa/entries", Heard),
    (r"/api/visa/sharing/[^/]+/[^/]+/(?:answers|members.*)", Heard),
    (r"/api/visa/notices/[^/]+/seen", Heard),
    (r"/api/tests/table/(.+)", SetTable),
    (r"/api/tests/answer", SetAnswer),
    (r"/api/tests/token/([^/]+)/([^/]+)", TellToken),
    (r"/api/tests/heard", TellHeard),
]
