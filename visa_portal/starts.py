"""Starts under way: each is followed once, however many pages look at it, and remembered for a while.

So a person may close the page and come back to the same list of steps. Nothing is lost when the portal
restarts: the session goes on at the hub, and a new page follows it from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import words
from .hub import HubClient, HubDown, HubError, LoginNeeded, NotThere
from .models import Session

log = logging.getLogger(__name__)

#: How long a finished start is remembered, in seconds, and how many at most.
KEEP_SECONDS, KEEP_MOST = 900, 2000
#: How long a hub that does not answer is waited for, in seconds, before the start counts as failed.
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Step:
    """One step of a start, in words, and when it was reached (UTC).

    `queued` words say where it stands in a queue, and take the place of the last such words: their time is
    when the waiting began. `number` grows.
    """

    at: datetime
    words: str
    queued: bool = False
    number: int = 0


@dataclass
class Start:
    """One start: its steps so far and how it ended.

    `state` is `starting`, `ready`, `failed`, or `lost` where the portal may not follow it any more, since the
    person has logged out; `words` then says why, and `option` names the one that was refused, if one was.
    `body` is what the hub was asked with, None where the person asked elsewhere: of a start that the hub
    refused nothing else is left.
    """

    owner: str
    name: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: list[Step] = field(default_factory=list)
    state: str = "starting"
    words: str = ""
    option: str = ""
    status: int = 200
    session: Session | None = None
    body: dict | None = None
    finished: datetime | None = None
    task: asyncio.Task | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _said: int = 0

    @property
    def queued(self) -> bool:
        """Whether it waits in a queue, as far as the last word goes."""
        return bool(self.steps) and self.steps[-1].queued

    def add(self, text: str, queued: bool = False) -> None:
        """Note a step; one that was said already is not said again. A queue has one step, however long."""
        last = self.steps[-1] if self.steps else None
        if not text or (last is not None and last.words == text):
            return
        at = datetime.now(UTC)
        if queued:
            if last is not None and last.queued:
                at = self.steps.pop().at
        elif any(step.words == text for step in self.steps):
            return
        self._said += 1
        self.steps.append(Step(at, text, queued, self._said))
        self._tell()

    def end(self, state: str, text: str = "", option: str = "", status: int = 200) -> None:
        """Note how it ended; only the first end counts."""
        if self.finished is None:
            self.state, self.words, self.option, self.status = state, text, option, status
            self.finished = datetime.now(UTC)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> bool:
        """Wait until something is new, at most so long; whether something is."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def watch(self, heartbeat: float = 15) -> AsyncIterator[Step | None]:
        """All steps, those gone by first, until it ends; None when there was nothing for a while."""
        told = 0
        while True:
            for step in [step for step in self.steps if step.number > told]:
                told = step.number
                yield step
            if any(step.number > told for step in self.steps):
                continue
            if self.finished is not None:
                return
            if not await self.news(heartbeat):
                yield None


class Starts:
    """The starts the portal knows of."""

    def __init__(self, hub: HubClient):
        self.hub = hub
        self._starts: dict[tuple[str, str], Start] = {}

    def get(self, owner: str, name: str) -> Start | None:
        return self._starts.get((owner, name))

    def begin(self, token: str, owner: str, name: str, body: dict | None = None) -> Start:
        """Ask the hub to start a session and follow it; a start that is under way is not asked for twice.

        Without a body it is what was asked for last, by this portal or as the hub keeps it.
        """
        running = self.get(owner, name)
        if running is not None and running.finished is None:
            return running
        # One that ran may have been given other data since, which the hub knows.
        if body is None and running is not None and running.state != "ready":
            body = running.body
        return self._follow(token, owner, name, asked=True, body=body)

    def follow(self, token: str, owner: str, name: str) -> Start:
        """Follow a start that is under way at the hub, whoever asked for it.

        One that was lost is gone on with: its steps so far are known.
        """
        running = self.get(owner, name)
        if running is not None and running.finished is None:
            return running
        start = self._follow(token, owner, name, asked=False)
        if running is not None and running.state == "lost":
            start.began, start.body = running.began, running.body
            for step in running.steps:
                start.add(step.words, step.queued)
        return start

    def forget(self, owner: str, name: str) -> None:
        """Stop following: the session was stopped or deleted."""
        start = self._starts.pop((owner, name), None)
        if start is not None and start.task is not None:
            start.end("failed", "The start was cancelled.")
            start.task.cancel()

    async def close(self) -> None:
        for start in list(self._starts.values()):
            if start.task is not None:
                start.task.cancel()
        await asyncio.gather(*(s.task for s in self._starts.values() if s.task), return_exceptions=True)

    def _follow(self, token: str, owner: str, name: str, *, asked: bool, body: dict | None = None) -> Start:
        self._purge()
        start = self._starts[owner, name] = Start(owner, name, body=body)
        start.task = asyncio.create_task(self._run(start, token, asked, body))
        return start

    def _purge(self) -> None:
        now = datetime.now(UTC)
        done = sorted((s for s in self._starts.values() if s.finished), key=lambda s: s.finished)
        for index, start in enumerate(done):
            too_many = len(self._starts) >= KEEP_MOST and index < KEEP_MOST // 10
            if too_many or (now - start.finished).total_seconds() > KEEP_SECONDS:
                self._starts.pop((start.owner, start.name), None)

    async def _run(self, start: Start, token: str, asked: bool, body: dict | None) -> None:
        try:
            await _Following(self.hub, start, token, asked, body).run()
        except Exception:
            log.exception("following the start of %s/%s failed", start.owner, start.name)
            start.end("failed", 'Following the start failed. "My sessions" shows where it stands.', "", 500)


class _Following:
    """The work behind one `Start`: the hub's progress until it is ready, refused or failed.

    A start that the hub may not have heard is asked for again: the session's name makes that safe.
    """

    def __init__(self, hub: HubClient, start: Start, token: str, asked: bool, body: dict | None):
        self.hub, self.start, self.token, self.asked, self.body = hub, start, token, asked, body
        self.post: asyncio.Task | None = None
        self.down_since: datetime | None = None

    async def run(self) -> None:
        pause = 0.1
        try:
            while self.start.finished is None:
                if self.asked and self.post is None:
                    self.post = asyncio.create_task(self._ask())
                try:
                    await self._settle(await self._listen())
                    self.down_since = None
                except HubDown:
                    self._down()
                if self.start.finished is None:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 5)
        except LoginNeeded as error:
            # It goes on at the hub; whoever looks next follows it with a login that is good.
            self.start.end("lost", error.words, "", error.status)
        except HubError as error:
            self.start.end("failed", error.words, getattr(error, "field", ""), error.status)
        finally:
            if self.post is not None and not self.post.done():
                self.post.cancel()

    async def _ask(self) -> HubError | None:
        try:
            await self.hub.start(self.token, self.start.owner, self.start.name, self.body)
        except HubError as error:
            return error
        return None

    async def _listen(self) -> str | None:
        """Note the hub's progress until it ends; why the start failed, if that is how it ended."""
        try:
            async for event in self.hub.progress(self.token, self.start.owner, self.start.name):
                if event.get("failed"):
                    return words.failure(event)
                self.down_since = None
                if not event.get("ready"):
                    self.start.add(words.step(event), bool(event.get("queued")))
        except NotThere:
            log.debug("%s/%s is not starting (yet, or any more)", self.start.owner, self.start.name)
        return None

    def _down(self) -> None:
        self.start.add("The service does not answer; trying again")
        self.down_since = self.down_since or datetime.now(UTC)
        waited = (datetime.now(UTC) - self.down_since).total_seconds()
        if waited > PATIENCE_SECONDS:
            self.start.end("failed", f"The service did not answer for {words.duration(waited)}.", "", 503)

    async def _settle(self, failed: str | None) -> None:
        """The hub has no more progress to tell: find out where the session stands."""
        session = await self._session()
        if session is not None and session.ready:
            self.start.session = session
            self.start.end("ready")
            return
        if self.post is not None:
            # The answer to the start itself has the best words there are, if it is a refusal.
            early = not self.post.done()
            await asyncio.wait({self.post}, timeout=2 if failed else 0)
            if not self.post.done():
                return
            refusal = self.post.result()
            if isinstance(refusal, HubDown):
                self.post = None
                raise refusal
            if refusal is not None:
                raise refusal
            if early and failed is not None:
                # Until the hub has taken this start it tells how the last one failed.
                return
        if failed is not None:
            better = session.words if session is not None and session.state == "failed" else ""
            self.start.end("failed", better or failed)
        elif session is None:
            self.start.end("failed", "There is no such session any more.", "", 404)
        elif session.state in ("failed", "stopped", "stopping"):
            self.start.end("failed", session.words or "The session has stopped.")
        elif session.queued:
            # A hub that was restarted tells no steps of a start that its last one began.
            self.start.add(session.words, queued=True)

    async def _session(self) -> Session | None:
        sessions = await self.hub.sessions(self.token)
        return next((one for one in sessions if one.name == self.start.name), None)
