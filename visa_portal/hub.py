"""The hub's REST API, called as the person whose token is given: the portal has no power of its own.

Every failure is one of the errors below, with words a person can read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextvars import ContextVar
from http.client import responses
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError

from .models import Options, Session

log = logging.getLogger(__name__)

#: The fields a refusal may name at its beginning, as in `lifetime_hours: at most 8`.
FIELDS = (
    *("experiments", "datasets", "profile", "plan", "interface", "screen", "keyboard", "lifetime_hours"),
    *("title", "name", "account", "home", "user_options", "image", "experiment"),
    *("role", "despite", "hours", "uses", "locked", "code", "request", "answer", "message", "words"),
    *(
        "instrument",
        "since",
        "until",
        "limit",
        "before",
        "q",
        "who",
        "owner",
        "session",
        "what",
        "state",
        "node",
    ),
)
_FIELD = re.compile(rf"^({'|'.join(FIELDS)})(?:[.\[][^:\s]*)?\s*:\s*(.*)$", re.DOTALL)

#: Seconds for a change to a session's data: members are told first, and a machine may be busy.
DATA_SECONDS = 60.0

#: Seconds within which a hub that is told to end is gone, once it answers with nothing but errors.
ENDING = 0.5

#: The address of the browser that the present request came from; told to the hub with each call.
browser: ContextVar[str] = ContextVar("browser", default="")


class HubError(Exception):
    """The hub did not do what was asked; `words` are for the person."""

    status = 502

    def __init__(self, words: str):
        super().__init__(words)
        self.words = words


class HubDown(HubError):
    """Nothing answers at the hub's address, or not in time."""

    status = 503

    def __init__(self):
        super().__init__("The service does not answer at the moment. Running sessions go on running.")


class LoginNeeded(HubError):
    """The token is no longer good: the person has to log in again."""

    status = 401

    def __init__(self):
        super().__init__("You have been logged out. Log in again to go on.")


class NotThere(HubError):
    """There is no such session, or it is not starting."""

    status = 404


class Refused(HubError):
    """The hub said no; `field` names the option at fault, or is empty."""

    def __init__(self, words: str, field: str = "", status: int = 400):
        super().__init__(words)
        self.field, self.status = field, status


class Despite(Refused):
    """Somebody may not see all of a session's experiments, and the owner may let them watch in spite of it.

    `experiments` are the ids of those they may not see.
    """

    def __init__(self, words: str, experiments: tuple[str, ...]):
        super().__init__(words, "name", 409)
        self.experiments = experiments


class HubClient:
    """Calls at the hub's API, each as the owner of the token given with it.

    `api_url` ends in `/hub/api`; `timeout` is in seconds and holds for everything but progress and start,
    which the hub answers only when there is something to say.
    """

    def __init__(self, api_url: str, timeout: float = 10):
        self.api_url = api_url.rstrip("/")
        self.timeout = timeout
        self._http: aiohttp.ClientSession | None = None
        self._held: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """One pool of connections; made on first use, since it needs the running loop."""
        if self._http is None or self._http.closed:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=200), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._http

    @property
    def held(self) -> aiohttp.ClientSession:
        """Connections of calls that the hub holds, one for each browser with a page open; see `http`."""
        if self._held is None or self._held.closed:
            self._held = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._held

    async def close(self) -> None:
        for pool in filter(None, (self._http, self._held)):
            await pool.close()

    async def alive(self) -> bool:
        """Whether the hub answers at all."""
        limit = aiohttp.ClientTimeout(total=min(self.timeout, 3))
        try:
            async with self.http.get(f"{self.api_url}/health", timeout=limit) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def user(self, token: str) -> dict:
        """The hub's model of the token's owner; raises LoginNeeded when the token is not good."""
        return await self.call("GET", "user", token)

    async def options(self, token: str) -> Options:
        """The profiles and plans this account may use, with what is free now."""
        return read(Options, await self.call("GET", "visa/options", token))

    async def sessions(self, token: str) -> list[Session]:
        """The account's own sessions, running or not."""
        answer = await self.call("GET", "visa/sessions", token)
        return [read(Session, one) for one in answer.get("sessions", ())]

    async def pulse(self, token: str, after: str) -> str:
        """A word that is another one as soon as anything has changed that this person's pages show.

        The hub answers when it is another than `after`, or in half a minute.
        """
        at = f"visa/pulse?after={quote(after, safe='')}"
        answer = await self.call("GET", at, token, timeout=60, pool=self.held)
        return str(answer["pulse"])

    async def start(self, token: str, owner: str, name: str, body: dict | None = None) -> None:
        """Start a session; without a body, as it was started last.

        Returns when it runs or when the hub is satisfied that it is on its way, after up to the hub's
        `slow_spawn_timeout`.
        """
        await self.call("POST", self._server(owner, name), token, body, timeout=90)

    async def stop(self, token: str, owner: str, name: str) -> None:
        """Stop a session; its name and options stay."""
        await self.call("DELETE", self._server(owner, name), token, timeout=60)

    async def add_data(self, token: str, owner: str, name: str, experiment: str) -> None:
        """Add an experiment's data to a running session; raises Refused in the hub's own words."""
        body = {"experiment": experiment}
        await self.call("POST", self._data(owner, name), token, body, timeout=DATA_SECONDS)

    async def take_data_away(self, token: str, owner: str, name: str, experiment: str) -> None:
        """Take an experiment's data out of a running session; raises Refused in the hub's own words."""
        at = f"{self._data(owner, name)}/{quote(experiment, safe='')}"
        await self.call("DELETE", at, token, timeout=DATA_SECONDS)

    @staticmethod
    def _session(owner: str, name: str) -> str:
        return f"visa/sessions/{quote(owner, safe='')}/{quote(name, safe='')}"

    def _data(self, owner: str, name: str) -> str:
        return f"{self._session(owner, name)}/data"

    async def extend(self, token: str, owner: str, name: str, hours: float) -> None:
        """Have a session end so many hours later; raises Refused where that may not be."""
        await self.call("POST", f"{self._session(owner, name)}/extend", token, {"hours": hours}, timeout=60)

    async def suspend(self, token: str, owner: str, name: str) -> None:
        """Have a session stand still, or begin to; raises Refused in the hub's own words."""
        await self.call("POST", f"{self._session(owner, name)}/suspend", token, timeout=60)

    async def resume(self, token: str, owner: str, name: str) -> None:
        """Have a suspended session go on, or begin to; as `suspend`."""
        await self.call("POST", f"{self._session(owner, name)}/resume", token, timeout=60)

    async def delete(self, token: str, owner: str, name: str) -> None:
        """Stop a session and forget it. Files are not touched."""
        await self.call("DELETE", self._server(owner, name), token, {"remove": True}, timeout=60)

    async def progress(self, token: str, owner: str, name: str) -> AsyncIterator[dict]:
        """The hub's progress events of a start, each a dict with at least `message` or `ready`/`failed`.

        Raises NotThere when the session is not starting, HubDown when the stream breaks.
        """
        url = f"{self.api_url}/{self._server(owner, name)}/progress"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout, sock_read=60)
        try:
            async with self.http.get(url, headers=_headers(token), timeout=timeout) as response:
                if response.status != 200:
                    await self._raise(response, token)
                async for line in response.content:
                    if line.startswith(b"data:"):
                        yield json.loads(line[5:])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("progress of %s/%s broke off: %s", owner, name, error)
            raise HubDown from error

    async def pieces(self, path: str, token: str, kind: str) -> AsyncIterator[bytes]:
        """A long answer of the media type `kind`, as it comes; raises the errors above."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout, sock_read=60)
        asked = _headers(token) | {"Accept": kind}
        try:
            async with self.http.get(f"{self.api_url}/{path}", headers=asked, timeout=timeout) as response:
                if response.status != 200:
                    await self._raise(response, token)
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("hub: %s broke off: %s", path.partition("?")[0], error)
            raise HubDown from error

    @staticmethod
    def _server(owner: str, name: str) -> str:
        return f"users/{quote(owner, safe='')}/servers/{quote(name, safe='')}"

    async def call(
        self,
        method: str,
        path: str,
        token: str,
        body: dict | None = None,
        timeout: float = 0,
        pool: aiohttp.ClientSession | None = None,
    ):
        """Ask the hub; its answer's JSON, or an empty dict where it has none. Raises the errors above.

        `path` is below the API's address, quoted already; `timeout` is in seconds.
        """
        limit = aiohttp.ClientTimeout(total=timeout or self.timeout)
        try:
            async with (pool or self.http).request(
                method, f"{self.api_url}/{path}", headers=_headers(token), json=body, timeout=limit
            ) as response:
                if response.status >= 400:
                    await self._raise(response, token)
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("hub: %s %s: %s", method, path, error or type(error).__name__)
            raise HubDown from error
        if response.status == 200 and not text.strip():
            # A hub that is told to end answers like that what it is in the middle of: it has nothing to say,
            # which is not the same as that there is nothing.
            log.warning("hub: %s %s was broken off", method, path)
            raise HubDown
        try:
            return json.loads(text) if text.strip() else {}
        except ValueError as error:
            log.error("hub: %s %s answered what is not JSON", method, path)
            raise HubError("The service gave an answer that cannot be read.") from error

    async def _raise(self, response: aiohttp.ClientResponse, token: str) -> None:
        """Turn an answer of 400 or above into one of our errors."""
        try:
            said = json.loads(await response.text())
            message = str(said.get("message") or "")
        except (ValueError, AttributeError):
            said, message = {}, ""
        path = response.url.path
        log.info("hub: %s %s: %d %s", response.method, path, response.status, message)
        if response.status in (401, 403) and not await self._good(token):
            raise LoginNeeded
        if response.status in (502, 503, 504) and not message:
            raise HubDown
        found = _FIELD.match(message)
        if response.status == 404 or (response.status == 400 and path.endswith("/progress")):
            raise NotThere((found[2] if found else message) or "There is no such session.")
        if response.status == 409 and said.get("experiments"):
            raise Despite(found[2] if found else message, tuple(map(str, said["experiments"])))
        if found:
            raise Refused(found[2].strip(), found[1], response.status)
        if response.status >= 500:
            own = message and message != responses.get(response.status)
            if not own and await self._ends():
                raise HubDown
            broken = HubError(message if own else "Something went wrong in the service; its log says what.")
            # Without words of its own it is no answer: ours is that of who stands before a broken one.
            broken.status = response.status if own else 502
            raise broken
        raise Refused(message or "This was refused.", "", response.status)

    async def _ends(self) -> bool:
        """Whether the hub is about to end: the last that it answers then are errors."""
        await asyncio.sleep(ENDING)
        return not await self.alive()

    async def _good(self, token: str) -> bool:
        limit = aiohttp.ClientTimeout(total=self.timeout)
        url = f"{self.api_url}/user"
        async with self.http.get(url, headers=_headers(token), timeout=limit) as response:
            return response.status != 403


def _headers(token: str) -> dict[str, str]:
    headers = {"Authorization": f"token {token}", "Accept": "application/json, text/event-stream"}
    address = browser.get()
    return headers | {"X-Forwarded-For": address} if address else headers


def read(model, value):
    """An answer as the model that it must fit; raises HubError, and logs how it does not."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        log.error("hub: an answer does not fit %s: %s", model.__name__, error)
        raise HubError("The service gave an answer that cannot be read.") from error
