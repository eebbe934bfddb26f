"""A hub as the figures see it, ours or stock: start a session, stop it, find its container."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime

import httpx


class BenchFailed(Exception):
    """A figure could not be taken; the message says what did not work."""


@dataclass(frozen=True)
class Session:
    """A running session: `url` is absolute and ends with a slash; `asked` and `ready` are times of day."""

    name: str
    url: str
    asked: float
    ready: float

    @property
    def seconds(self) -> float:
        """From the POST to the hub's word that it is ready."""
        return self.ready - self.asked


@dataclass(frozen=True)
class Container:
    """A session's container: its id, its first process, the times of day it was created and started."""

    id: str
    pid: int
    created: float
    started: float


def _seconds(text: str) -> float:
    """The engine's time of day, which has more digits than datetime reads, in seconds since 1970."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()


@dataclass
class Hub:
    """One hub's REST API, acting as `user` by `token`.

    `options` are the user_options of every start; `container_filter` is what a session's container alone has
    among its names and labels, with `{user}` and `{name}` for whose and which it is. `page` and `shows` are a
    page of every session and what must stand there. `portal` is where its pages are, `metrics_token` reads
    what it counts, both of our side alone.
    """

    kind: str
    url: str
    user: str
    password: str
    token: str
    container_filter: str = ""
    engine_socket: str = ""
    options: dict = field(default_factory=dict)
    portal: str = ""
    metrics_token: str = ""
    page: str = "lab"
    shows: str = "jupyter-config-data"
    #: What the progress of the last start said, and when; none where the POST itself answered.
    heard: list[tuple[float, str]] = field(default_factory=list)

    def client(self, **options) -> httpx.AsyncClient:
        headers = {"Authorization": f"token {self.token}"}
        fixed = {"timeout": 120, "trust_env": False, "follow_redirects": True}
        return httpx.AsyncClient(headers=headers, **fixed | options)

    def _server(self, name: str) -> str:
        return f"{self.url}/hub/api/users/{self.user}/servers/{name}"

    async def start(self, name: str) -> Session:
        """Start a session and wait for the hub's word that it is ready.

        Raises BenchFailed when it does not start or its page does not answer right away.
        """
        async with self.client() as client:
            asked, ready = await self.ask_for(client, name)
            session = Session(name, await self._address(client, name), asked, ready)
            await self.check(client, session.url)
        return session

    async def ask_for(self, client: httpx.AsyncClient, name: str) -> tuple[float, float]:
        """Start a session; when that was asked for, and when the hub said that it is ready."""
        self.heard.clear()
        asked = time.time()
        answer = await client.post(self._server(name), json={"user_options": self.options})
        if answer.status_code == 202:
            await self._until_ready(client, name)
        elif answer.status_code != 201:
            raise BenchFailed(f"{self.kind}: start refused: {answer.status_code} {answer.text[:300]}")
        return asked, time.time()

    async def check(self, client: httpx.AsyncClient, url: str) -> None:
        """Raise BenchFailed unless the session's page answers."""
        page = await client.get(f"{url}{self.page}")
        if page.status_code != 200 or self.shows not in page.text:
            raise BenchFailed(f"{self.kind}: ready, but {page.url} answers {page.status_code}")

    async def _until_ready(self, client: httpx.AsyncClient, name: str) -> None:
        async with client.stream("GET", self._server(name) + "/progress") as events:
            async for line in events.aiter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line.removeprefix("data:"))
                self.heard.append((time.time(), event.get("message", "")))
                if event.get("failed"):
                    raise BenchFailed(f"{self.kind}: {event.get('message')}")
                if event.get("ready"):
                    return
        raise BenchFailed(f"{self.kind}: the progress of {name} ended before it was ready")

    async def _address(self, client: httpx.AsyncClient, name: str) -> str:
        model = (await client.get(f"{self.url}/hub/api/users/{self.user}")).raise_for_status().json()
        server = model["servers"][name]
        address = server.get("full_url") or server["url"]
        return address if address.startswith("http") else self.url + address

    async def counted(self, name: str, **labels: str) -> float:
        """A number of the hub's own, as its metrics have it; 0 where there is none."""
        headers = {"Authorization": f"token {self.metrics_token}"}
        async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
            text = (await client.get(f"{self.url}/hub/metrics")).raise_for_status().text
        for line in text.splitlines():
            if line.startswith(f"{name}{{") and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                return float(line.rpartition(" ")[2])
        return 0.0

    async def until_one_waits(self) -> None:
        """Return when a container waits for the plan of `options`; raises BenchFailed when none does."""
        pair = {name: self.options[name] for name in ("profile", "plan")}
        for _ in range(600):
            if await self.counted("visa_warm_waiting", **pair):
                return
            await asyncio.sleep(0.1)
        raise BenchFailed(f"no container waits for plan {pair['plan']}")

    async def found_waiting(self) -> float:
        """How many starts of that plan have found one that waited."""
        pair = {name: self.options[name] for name in ("profile", "plan")}
        return await self.counted("visa_warm_starts_total", how="waiting", **pair)

    async def stop(self, name: str) -> None:
        """Stop and forget a session; returns when the hub lists it no more."""
        async with self.client() as client:
            for _ in range(300):
                answer = await client.request("DELETE", self._server(name), json={"remove": True})
                if answer.status_code in (204, 404):
                    return
                await asyncio.sleep(0.2)
        raise BenchFailed(f"{self.kind}: session {name} does not stop")

    async def container(self, name: str) -> Container:
        """A running session's container, as the engine has it."""
        transport = httpx.AsyncHTTPTransport(uds=self.engine_socket)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=30) as client:
            listed = (await client.get("/containers/json")).raise_for_status().json()
            wanted = self.container_filter.format(user=self.user, name=name)
            found = [one for one in listed if wanted in json.dumps([one["Names"], one["Labels"]])]
            if len(found) != 1:
                raise BenchFailed(f"{self.kind}: {len(found)} containers answer to {wanted}")
            details = (await client.get(f"/containers/{found[0]['Id']}/json")).raise_for_status().json()
        state = details["State"]
        return Container(
            found[0]["Id"], state["Pid"], _seconds(details["Created"]), _seconds(state["StartedAt"])
        )
