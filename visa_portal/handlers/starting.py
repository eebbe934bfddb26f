""" "Starting": each step as it happens, then the session itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from tornado.iostream import StreamClosedError

from ..hub import NotThere
from ..models import Session, StartForm
from ..starts import Start, Step
from ..words import duration
from . import NAME
from .base import PersonHandler
from .sessions import CONFIRM


class StartingHandler(PersonHandler):
    """The page of one start. Closing it changes nothing; coming back shows the same steps.

    For a session that is ready it goes there at once.
    """

    async def get(self, name: str) -> None:
        session = await find(self, name)
        start = self.site.starts.get(self.owner, name)
        if session is not None and session.state == "suspended":
            self.redirect(f"{self.site.prefix}#session-{name}")  # which says why, and for how long
            return
        ready = session is not None and session.ready
        if ready:
            # Not a redirect: where a form leads must stay on our host, and a session has one of its own.
            steps = start.steps if start is not None else []
            start = Start(self.owner, name, state="ready", session=session, steps=steps)
        elif start is None or start.state == "lost" or (start.finished and _is_starting(session)):
            if session is None:
                raise NotThere("There is no such session.")
            start = self.site.starts.follow(self.token, self.owner, name)
            await start.news(0.3)
        await self.show(
            "starting.html",
            name=name,
            start=start,
            session=session,
            steps=[(step, since(start, step)) for step in start.steps],
            again=again(session or asked(start)),
            title=_title(name, session, start),
            ready_url=self.site.open_url(session) if ready else "",
            confirm=CONFIRM,
        )


class ProgressHandler(PersonHandler):
    """The same as a stream of server-sent events: `step`, then one `ready` or `failed`."""

    is_fragment = True

    async def get(self, name: str) -> None:
        start = self.site.starts.get(self.owner, name)
        if start is None or start.state == "lost":
            if await find(self, name) is None:
                raise NotThere("There is no such session.")
            start = self.site.starts.follow(self.token, self.owner, name)
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        try:
            async for step in start.watch():
                await self._send("step" if step else "", step and _step(start, step))
            if start.state == "ready":
                await self._send("ready", {"url": self.site.open_url(start.session)})
            elif start.state == "failed":
                await self._send("failed", {"words": start.words})
        except StreamClosedError:
            # The page was closed; the start goes on.
            return

    async def _send(self, kind: str, data: dict | None) -> None:
        self.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n" if kind else ": still there\n\n")
        await self.flush()


def _is_starting(session: Session | None) -> bool:
    return session is not None and session.state == "starting"


async def find(handler: PersonHandler, name: str) -> Session | None:
    """One of the person's sessions, or None."""
    with handler.timed("hub"):
        sessions = await handler.site.hub.sessions(handler.token)
    return next((session for session in sessions if session.name == name), None)


def since(start: Start, step: Step) -> str:
    """How long after the beginning a step was reached, `4.2 s`; of a queue, how long it has been so."""
    if step.queued:
        return duration((datetime.now(UTC) - step.at).total_seconds())
    seconds = max(0.0, (step.at - start.began).total_seconds())
    return f"{seconds:.1f} s" if seconds < 100 else duration(seconds)


def again(session: Session | StartForm | None) -> str:
    """The query of "New session" that asks for the same once more, to be changed there."""
    if session is None:
        return ""
    choice = [("experiment", one) for one in session.experiments]
    choice += [("dataset", one) for one in session.datasets]
    choice += [("profile", session.profile), ("plan", session.plan), ("interface", session.interface)]
    choice += [("screen", session.screen), ("keyboard", session.keyboard), ("image", session.image)]
    if not session.experiments:
        choice.append(("home", "1"))
    return urlencode([(key, value) for key, value in choice if value])


def asked(start: Start) -> StartForm | None:
    """What a start was asked for with, where the hub keeps no session of it."""
    return start.body and StartForm(name=start.name, **start.body["user_options"])


def _title(name: str, session: Session | None, start: Start) -> str:
    """What the person calls it."""
    if session is not None:
        return session.title or name
    return (start.body or {}).get("display_name") or name


def _step(start: Start, step: Step) -> dict:
    told = {"words": step.words, "after": since(start, step), "at": step.at.isoformat()}
    return told | {"queued": step.queued}


ROUTES = [
    (f"sessions/{NAME}/starting", StartingHandler),
    (f"sessions/{NAME}/progress", ProgressHandler),
]
