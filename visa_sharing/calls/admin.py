"""Calls of administrators: everybody's sessions, words to people, nodes."""

from __future__ import annotations

import asyncio
from datetime import datetime

from jupyterhub import orm
from pydantic import Field
from tornado import web

from visa_spawner.session import NodeState
from visa_spawner.site import VisaSite

from .. import notices, support
from ..audit.record import record
from ..database import DrainedNode, Notice, now
from ..drained import drained
from ..grants import iso
from ..staff import staff
from ..supported import Sessions
from .callers import UNKNOWN, Body, PersonHandler
from .queries import Search, as_time

MAX_WORDS = 2000


class Message(Body):
    words: str = Field(min_length=1, max_length=MAX_WORDS)


class Announcement(Body):
    words: str = Field(min_length=1, max_length=MAX_WORDS)
    instrument: str = Field("", max_length=200)
    since: str = Field("", max_length=40)
    until: str | None = Field(None, max_length=40)


class NodeChange(Body):
    drained: bool
    words: str = Field("", max_length=500)


class AdminHandler(PersonHandler):
    """A call by an administrator."""

    def said(self, words: str) -> str:
        """What somebody wrote, if it says anything; raises 400."""
        if not words.strip():
            raise web.HTTPError(400, "words: say something")
        return words.strip()

    def session_row(self, owner: str, name: str) -> orm.Spawner:
        """Anybody's session; raises 404."""
        row = self.row(owner, name)
        if row is None:
            raise web.HTTPError(404, UNKNOWN)
        return row


class AdminSessionsHandler(AdminHandler, Search):
    """Everybody's sessions, with their members."""

    async def get(self):
        person = await staff(await self.administrator(), self.sharing)
        found, more = await Sessions(self.app, person).search(self.sought(), everybody=True)
        self.answer({"sessions": found, "more": more})


class MessageHandler(AdminHandler):
    """Words to a session's owner."""

    async def post(self, owner, name):
        person = await self.administrator()
        words = self.said(self.body(Message).words)
        row = self.session_row(owner, name)
        notice = notices.send(self.db, row, words, who=person.name)
        names = {"owner": owner, "session": name, "who": person.name, "whom": owner}
        record(self.db, "message-sent", **names, address=self.address, notice=notice.id, words=words)
        self.db.commit()
        self.answer({"id": notice.id, "words": words, "made": iso(notice.made_at)}, 201)


class StopHandler(AdminHandler):
    """Stop somebody's session; it stays in its owner's list, who reads there that staff stopped it."""

    async def delete(self, owner, name):
        person = await self.administrator()
        row = self.session_row(owner, name)
        user = self.find_user(owner)
        spawner = user.spawners[name]
        if not spawner.active and not support.runs(row):
            raise web.HTTPError(409, f"session: {support.NOT_RUNNING}")
        names = {"owner": owner, "session": name, "who": person.name, "whom": owner}
        record(self.db, "session-stopped", **names, address=self.address)
        self.db.commit()
        spawner.end_with("Stopped by the facility's staff.")
        await self._stop(user, spawner)
        self.answer({}, 202)

    async def _stop(self, user, spawner) -> None:
        """As the hub's own call does; one that hangs in its start is interrupted."""
        if spawner.pending == "stop":
            return
        if spawner.pending:
            if spawner._spawn_future:
                spawner._spawn_future.cancel()
            await asyncio.sleep(1)  # what the hub gives a start to end by itself
        if spawner.active and not spawner.pending:
            await self.stop_single_user(user, spawner.name)


class NodesHandler(AdminHandler):
    """The machines that sessions run on."""

    async def get(self):
        await self.administrator()
        self.answer({"nodes": await _nodes(self.app)})


class NodeHandler(AdminHandler):
    """Take a node out of service for new sessions, or back into it."""

    async def put(self, backend, node):
        person = await self.administrator()
        change = self.body(NodeChange)
        if not any((one["backend"], one["node"]) == (backend, node) for one in await _nodes(self.app)):
            raise web.HTTPError(404, "node: there is none of that name")
        by = {"who": person.name, "address": self.address}
        if change.drained:
            drained().drain(self.db, backend, node, change.words.strip(), **by)
        else:
            drained().undrain(self.db, backend, node, **by)
        found = [one for one in await _nodes(self.app) if (one["backend"], one["node"]) == (backend, node)]
        self.answer(found[0] if found else {"backend": backend, "node": node, "drained": False})


class AnnouncementsHandler(AdminHandler):
    """Words to all, or to one instrument's users."""

    async def get(self):
        await self.administrator()
        rows = self.db.query(Notice).filter(Notice.account == "").order_by(Notice.id.desc()).limit(200)
        self.answer({"announcements": [_announcement(row) for row in rows]})

    async def post(self):
        person = await self.administrator()
        wanted = self.body(Announcement)
        words = self.said(wanted.words)
        since = as_time("since", wanted.since) if wanted.since else now()
        until = as_time("until", wanted.until, end_of_day=True) if wanted.until else None
        if until is not None and until <= max(since, now()):
            raise web.HTTPError(400, "until: must come after since, and lie ahead")
        row = Notice(words=words, made_by=person.name, instrument=wanted.instrument, since=since, until=until)
        self.db.add(row)
        self.db.flush()
        by = {"who": person.name, "address": self.address}
        more = {"words": words, "instrument": row.instrument, "since": since, "until": until}
        record(self.db, "announced", **by, notice=row.id, **more)
        self.db.commit()
        self.answer(_announcement(row), 201)


class AnnouncementHandler(AdminHandler):
    """One announcement."""

    async def delete(self, number):
        person = await self.administrator()
        row = self.db.get(Notice, int(number)) if len(number) < 10 else None
        if row is None or row.account:
            raise web.HTTPError(404, "notice: there is no announcement of that number")
        if row.until is None or row.until > now():
            row.until = now()
            record(self.db, "announcement-ended", who=person.name, address=self.address, notice=row.id)
            self.db.commit()
        self.answer(None)


async def _nodes(app) -> list[dict]:
    """All that the backends name, and those that are drained and that none names any more."""
    rows = {(row.backend, row.node): row for row in app.db.query(DrainedNode)}
    found = []
    for name, backend in VisaSite.of(app.config).used_backends().items():
        for node in await backend.nodes(app.config):
            found.append(_node(name, node, rows.pop((name, node.name), None)))
    return found + [_forgotten(row) for row in rows.values()]


def _announcement(row: Notice) -> dict:
    return {
        "id": row.id,
        "words": row.words,
        "instrument": row.instrument,
        "since": iso(row.since),
        "until": iso(row.until),
        "made": iso(row.made_at),
        "made_by": row.made_by,
        "live": row.since <= now() and (row.until is None or row.until > now()),
    }


def _node(backend: str, node: NodeState, row: DrainedNode | None) -> dict:
    state = {True: "answers", False: "silent", None: "unknown"}[node.answers]
    since: datetime | None = node.since
    return {
        "backend": backend,
        "node": node.name,
        "state": state,
        "since": since.isoformat(timespec="seconds") if since else None,
        "drained": row is not None or node.drained,
        "by_settings": node.drained,
        "words": row.words if row else "",
        "drained_by": row.made_by if row else "",
        "drained_at": iso(row.made_at) if row else None,
        "cpus": node.cpus,
        "memory": node.memory,
        "gpus": node.gpus,
        "free": {"cpus": node.free_cpus, "memory": node.free_memory, "gpus": node.free_gpus},
        "sessions": list(node.sessions),
        "waiting": node.waiting,
        "scheduled": node.scheduled,
        "closed": node.closed,
        "said": node.words,
    }


def _forgotten(row: DrainedNode) -> dict:
    nothing = NodeState(row.node, None, None, False, 0, 0, 0, 0, 0, 0)
    return _node(row.backend, nothing, row)


HANDLERS = [
    ("/api/visa/admin/sessions", AdminSessionsHandler),
    (r"/api/visa/admin/sessions/([^/]+)/([^/]+)", StopHandler),
    (r"/api/visa/admin/sessions/([^/]+)/([^/]+)/message", MessageHandler),
    ("/api/visa/admin/nodes", NodesHandler),
    (r"/api/visa/admin/nodes/([^/]+)/([^/]+)", NodeHandler),
    ("/api/visa/admin/announcements", AnnouncementsHandler),
    (r"/api/visa/admin/announcements/(\d+)", AnnouncementHandler),
]
