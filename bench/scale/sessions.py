"""Thousands of sessions in one process: what the hub and the proxy see of a session, and nothing else.

Each says to the hub that it listens, keeps its line to it open by `visa_session`'s own code, and tells its
activity as often as a real one; behind its address it answers pages and websockets. There is no JupyterLab,
no kernel and no desktop.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from visa_session.contract import READY_PATH
from visa_session.hubcalls import HubFailed
from visa_session.line import Line

#: Seconds between two words of a session's activity, as JupyterHub's single-user server has it.
ACTIVITY_INTERVAL = 300
#: What a moving picture of a desktop comes in, at most.
PICTURE = b"\xa5" * (1 << 16)
PAGE = b"<!doctype html><title>A session</title>" + b"<p>Here JupyterLab would stand.</p>" * 100


class Hub:
    """Calls of one session; all sessions share the connections, as they do not on machines of their own."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str):
        self.http, self.url, self.token = http, url.rstrip("/") + "/", token

    async def open(self, method: str, path: str, body: object = None, **others) -> aiohttp.ClientResponse:
        """As `visa_session.hubcalls.HubCalls.open`."""
        headers = {"Authorization": f"token {self.token}"}
        try:
            return await self.http.request(method, self.url + path, headers=headers, json=body, **others)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            raise HubFailed(str(error) or type(error).__name__) from error

    async def call(self, method: str, path: str, body: object = None) -> int:
        """The status of the hub's answer; 0 when there is none."""
        try:
            async with await self.open(method, path, body, timeout=aiohttp.ClientTimeout(total=30)) as answer:
                await answer.read()
                return answer.status
        except (HubFailed, OSError, TimeoutError, aiohttp.ClientError):
            return 0


class _Members:
    """What a session's line hands its tables to."""

    def __init__(self, session: Session):
        self.session, self.table = session, self
        self.trust_seconds = 0.0

    def take(self, table) -> None:
        self.trust_seconds = table.trust_seconds
        self.heard()

    def heard(self) -> None:
        self.session.heard = time.monotonic()

    def line_lost(self) -> None:
        self.session.line_losses += 1

    def forget(self) -> None:
        pass


@dataclass
class Session:
    """One session that runs."""

    key: str
    hub: Hub
    port: int
    works: bool = False
    active_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: datetime | None = None
    heard: float = 0.0
    line_losses: int = 0
    refused: bool = False
    tasks: list[asyncio.Task] = field(default_factory=list)

    def run(self, *, is_new: bool = True, within: float = 0) -> None:
        """Begin; one that is not new has said before that it listens. `within`: not all at once."""
        self.told = None if is_new else self.active_at
        self.tasks = [asyncio.create_task(self._run(is_new, within))]

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _run(self, is_new: bool, within: float) -> None:
        wait = 0.2
        while is_new:
            status = await self.hub.call("POST", READY_PATH, {"port": self.port})
            if 200 <= status < 300:
                break
            if status in (400, 401, 403):
                self.refused = True
                return
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, 5)
        await asyncio.sleep(within * random.random())
        self.tasks.append(asyncio.create_task(Line(self.hub, _Members(self)).run()))
        await asyncio.sleep(0 if is_new else ACTIVITY_INTERVAL * random.random())
        while True:
            await self._tell_activity()
            await asyncio.sleep(ACTIVITY_INTERVAL * random.uniform(0.9, 1.1))

    async def _tell_activity(self) -> None:
        """As `SessionApp.notify_activity`: nothing where nothing has happened since the last word."""
        if self.told == self.active_at:
            return
        owner, _, name = self.key.partition("/")
        at = self.active_at.isoformat().replace("+00:00", "Z")
        body = {"servers": {name: {"last_activity": at}}, "last_activity": at}
        if await self.hub.call("POST", f"users/{owner}/activity", body) == 200:
            self.told = self.active_at


class Sessions:
    """All of them, and the one address behind which they answer."""

    def __init__(self, port: int):
        self.port = port
        self.by_key: dict[str, Session] = {}
        self._http: aiohttp.ClientSession | None = None

    async def serve(self) -> None:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application()
        app.router.add_route("*", "/user/{owner}/{name}/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, backlog=2048).start()

    def begin(self, environment: dict[str, str], **how) -> Session:
        """One with this environment, which its engine was given."""
        owner, name = environment["JUPYTERHUB_USER"], environment["JUPYTERHUB_SERVER_NAME"]
        hub = Hub(self._http, environment["JUPYTERHUB_API_URL"], environment["JUPYTERHUB_API_TOKEN"])
        session = Session(f"{owner}/{name}", hub, self.port)
        self.by_key[session.key] = session
        session.run(**how)
        return session

    def facts(self) -> dict:
        """How they stand."""
        now, all_of_them = time.monotonic(), list(self.by_key.values())
        return {
            "sessions": len(all_of_them),
            "with a line": sum(now - one.heard < 30 for one in all_of_them),
            "lines lost": sum(one.line_losses for one in all_of_them),
            "refused": sum(one.refused for one in all_of_them),
        }

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        session = self.by_key.get(f"{request.match_info['owner']}/{request.match_info['name']}")
        if session is None:
            return web.Response(status=404)
        session.active_at = datetime.now(UTC)
        headers = {"X-JupyterHub-Version": "6.1.1"}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                session.active_at = datetime.now(UTC)
                for _ in range(
                    int(message.data.removeprefix("pictures ") if "pictures" in message.data else 0)
                ):
                    await socket.send_bytes(PICTURE)
                await socket.send_str(message.data)
            return socket
        if request.match_info["rest"] == "api":
            return web.Response(
                text=json.dumps({"version": "2"}), content_type="application/json", headers=headers
            )
        return web.Response(body=PAGE, content_type="text/html", headers=headers)
