"""People: they log in, look at their sessions, start some, and work; what they wait for is timed."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import defaultdict

import aiohttp

from .facility import SESSION, experiment, options, person
from .site import Site

#: Seconds between two signs of life of somebody who works in a session.
WORK = 8
HOME = "/services/visa/"


class _Here(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host, port=0, family=0):
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        ]

    async def close(self):
        pass


class Times:
    """Seconds by what was waited for, and what went wrong."""

    def __init__(self):
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.failed: dict[str, int] = defaultdict(int)

    def percentile(self, what: str, share: float = 0.95) -> float:
        """0 where it never happened."""
        taken = sorted(self.taken[what])
        return taken[min(len(taken) - 1, int(share * len(taken)))] if taken else 0.0


class Person:
    """A browser with somebody before it."""

    def __init__(self, site: Site, number: int, times: Times):
        self.site, self.number, self.times = site, number, times
        self.name = person(number)
        self.portal = site.portal_url.removesuffix(HOME)
        self.etag = self.pulse = ""

    async def __aenter__(self) -> Person:
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_Here(), limit=8),
            timeout=aiohttp.ClientTimeout(total=60),
        )
        return self

    async def __aexit__(self, *_) -> None:
        await self.http.close()

    async def _timed(self, what: str, method: str, url: str, good=(200,), **others) -> str:
        began = time.monotonic()
        try:
            async with self.http.request(method, url, **others) as answer:
                text = await answer.text()
                if answer.status not in good:
                    self.times.failed[f"{what}: {answer.status}"] += 1
                self.etag = answer.headers.get("ETag", "") if what == "look" else self.etag
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.times.failed[f"{what}: {type(error).__name__}"] += 1
            return ""
        self.times.taken[what].append(time.monotonic() - began)
        return text

    async def log_in(self) -> None:
        """By the hub's form, then to the portal, which is let in by the hub."""
        login = f"{self.site.url}/hub/login"
        form = await self._timed("login form", "GET", login)
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form)
        data = {"username": self.name, "password": "x", "_xsrf": xsrf[1] if xsrf else ""}
        await self._timed("login", "POST", login, data=data)

    async def my_sessions(self) -> None:
        page = await self._timed("My sessions", "GET", self.portal + HOME)
        made = re.search(r'id="sessions" data-pulse="([^"]+)"', page)
        self.pulse = made[1] if made else ""

    async def new_session(self) -> None:
        await self._timed(
            "New session", "GET", f"{self.portal}{HOME}new?experiment={experiment(self.number)}"
        )

    async def follow(self) -> None:
        """As the script of an open page: held calls, and a look when one says that something has changed."""
        while True:
            try:
                at = f"{self.portal}{HOME}pulse"
                async with self.http.get(at, params={"after": self.pulse}) as answer:
                    fresh = (await answer.json())["pulse"] if answer.status == 200 else ""
            except (aiohttp.ClientError, TimeoutError, OSError):
                fresh = ""
            if not fresh:
                self.times.failed["held call"] += 1
                await asyncio.sleep(5)
            elif fresh != self.pulse:
                self.pulse = fresh
                await self.look()
                await asyncio.sleep(1)

    async def look(self) -> None:
        """As the page's script looks at what has changed."""
        headers = {"If-None-Match": self.etag} if self.etag else {}
        await self._timed("look", "GET", f"{self.portal}{HOME}sessions", (200, 304), headers=headers)

    async def visit(self) -> None:
        """The session's page, through the proxy."""
        await self._timed("session", "GET", self._session("lab"))

    async def work(self, seconds: float) -> None:
        """In the session by a websocket, with "My sessions" open behind."""
        until, page = time.monotonic() + seconds, asyncio.create_task(self.follow())
        try:
            async with self.http.ws_connect(self._session("api/events")) as socket:
                while time.monotonic() < until:
                    began = time.monotonic()
                    await socket.send_str("still here")
                    await socket.receive_str(timeout=60)
                    self.times.taken["websocket"].append(time.monotonic() - began)
                    await asyncio.sleep(
                        min(WORK * random.uniform(0.5, 1.0), max(0, until - time.monotonic()))
                    )
        except (aiohttp.ClientError, TimeoutError, TypeError, OSError) as error:
            self.times.failed[f"websocket: {type(error).__name__}"] += 1
        finally:
            page.cancel()

    async def watch(self, pictures: int) -> int:
        """So many pictures from the session, by a websocket; how many bytes came."""
        came = 0
        async with self.http.ws_connect(self._session("api/events"), max_msg_size=0) as socket:
            await socket.send_str(f"pictures {pictures}")
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    return came
                came += len(message.data)
        return came

    def _session(self, page: str) -> str:
        host = self.site.url.replace("localhost", f"{self.name}.localhost")
        return f"{host}/user/{self.name}/{SESSION}/{page}"


async def live(site: Site, numbers: list[int], seconds: float, within: float) -> Times:
    """These people come within so many seconds and work for as long; what they waited for."""
    times = Times()

    async def one(number: int) -> None:
        await asyncio.sleep(within * random.random())
        async with Person(site, number, times) as somebody:
            await somebody.log_in()
            await somebody.my_sessions()
            await somebody.visit()
            if number % 5 == 0:
                await somebody.new_session()
            await somebody.work(seconds)
            await somebody.my_sessions()

    await asyncio.gather(*map(one, numbers))
    return times


async def watched(site: Site, number: int, pictures: int) -> int:
    """As many bytes as one person's session sent as pictures, through the proxy."""
    async with Person(site, number, Times()) as somebody:
        await somebody.log_in()
        return await somebody.watch(pictures)


async def starts(
    site: Site, tokens: dict[int, str], numbers: list[int], within: float, name: str = "more"
) -> Times:
    """A start for each of these people within so many seconds, from the POST to the word that it is ready.

    `tokens` are theirs, by number: whoever starts a session has logged in before.
    """
    times = Times()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def one(number: int, index: int) -> None:
            headers = {"Authorization": f"token {tokens[number]}"}
            await asyncio.sleep(within * index / max(1, len(numbers)))
            began, at = time.monotonic(), f"{site.hub}/hub/api/users/{person(number)}/servers/{name}{index}"
            body = {"display_name": name, "user_options": options(number)}
            async with http.post(at, json=body, headers=headers) as answer:
                status, said = answer.status, await answer.text()
            if status == 202:
                async with http.get(f"{at}/progress", headers=headers) as events:
                    text = await events.text()
                status = 201 if '"ready": true' in text else 500
            if status == 201:
                times.taken["start"].append(time.monotonic() - began)
            else:
                times.failed[f"start: {status} {said[:80]}"] += 1

        await asyncio.gather(*(one(number, index) for index, number in enumerate(numbers)))
    return times
