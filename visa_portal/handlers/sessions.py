""" "My sessions": the tiles, and what can be done with one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from visa_catalogue import UnknownExperiment
from visa_catalogue.account import Role
from visa_catalogue.model import Experiment

from ..hub import NotThere
from ..models import Session
from ..models_sharing import Inside, Mine
from ..words import ending
from ..words_sharing import asks
from . import NAME
from .base import LiveHandler, PersonHandler
from .shared import LEAVE

#: What is asked before it is done: the verb, what it means, the word on the button, and on the other one.
CONFIRM = {
    "stop": (
        "Stop this session?",
        "Programs that run in it end, and what they have not saved is lost. Files stay. "
        "You can start it again.",
        "Stop",
    ),
    "cancel": (
        "Cancel this start?",
        "It gives up its place in the queue, if it has one. Nothing has run in it, and no file is touched. "
        "You can start it again.",
        "Cancel it",
        "Keep waiting",
    ),
    "suspend": (
        "Suspend this session?",
        "Everything in it stands still as it is. Nobody can open it until you resume it, and where its cores "
        "and memory were free for others meanwhile there must be room then. Its time goes on, and when that "
        "is over it ends like any other.",
        "Suspend",
        "Let it run",
    ),
    "delete": (
        "Delete this session?",
        "It stops and disappears from this page. Files that it wrote, in your home directory and with "
        "the experiment's processed data, stay.",
        "Delete",
    ),
}


@dataclass(frozen=True)
class Tile:
    """A session with what its experiments are called."""

    session: Session
    experiments: tuple[tuple[str, Experiment | None], ...]
    inside: Inside = Inside(name="")

    @property
    def instruments(self) -> list[str]:
        return list(dict.fromkeys(known.instrument for _, known in self.experiments if known is not None))

    @property
    def title(self) -> str:
        return self.session.title or self.session.name

    @property
    def news(self) -> str:
        """What a screen reader is told as soon as it is there: who asks to be let in, and a near end."""
        asking = [f"{one.called} from support asks to {asks(one.role)}" for one in self.inside.requests]
        return "; ".join(filter(None, [*asking, ending(self.session)]))


class SessionsHandler(PersonHandler):
    """The landing page."""

    async def get(self) -> None:
        with self.timed("hub"):
            mine = await self.mine()
        tiles = await self.tiles(mine.own, {one.name: one for one in mine.sessions})
        staff = bool(self.account.roles & {Role.ADMINISTRATOR, Role.HELPDESK})
        await self.show(
            self.template,
            tiles=tiles,
            staff=staff,
            shared=mine.shared,
            pulse=mine.pulse,
            confirm=CONFIRM,
            leave=LEAVE,
        )

    async def show(self, template: str, **values) -> None:
        if self.is_fragment:
            self.finish(self.page(template, **values))
        else:
            await super().show(template, **values)

    async def mine(self) -> Mine:
        """The account's sessions, who is in them, and in whose it is."""
        try:
            return await self.site.sharing.mine(self.token)
        except NotThere:
            # A hub without sharing.
            return Mine(own=await self.site.hub.sessions(self.token))

    template = "sessions.html"

    async def tiles(self, sessions: Iterable[Session], inside: dict[str, Inside]) -> list[Tile]:
        """The account's sessions, those that run or move first, then by title."""
        with self.timed("catalogue"):
            tiles = [await self._tile(session, inside) for session in sessions]
        idle = {"stopped": 1, "failed": 1}
        return sorted(tiles, key=lambda t: (idle.get(t.session.state, 0), t.title.casefold(), t.session.name))

    async def _tile(self, session: Session, inside: dict[str, Inside]) -> Tile:
        found = []
        for experiment_id in session.experiments:
            try:
                found.append((experiment_id, await self.site.catalogue.visible(self.account, experiment_id)))
            except UnknownExperiment:
                found.append((experiment_id, None))
        return Tile(session, tuple(found), inside.get(session.name, Inside(name=session.name)))


class TilesHandler(LiveHandler, SessionsHandler):
    """The tiles alone, for the page's script."""

    template = "tiles.html"


class ActionHandler(PersonHandler):
    """Stop, suspend, resume, delete or start again: asked on a page where no script runs, done by a POST."""

    async def get(self, name: str, action: str) -> None:
        if action not in CONFIRM:
            self.redirect(self.site.prefix)
            return
        session = await self._session(name)
        asked = "cancel" if action == "stop" and session.state == "starting" else action
        question, meaning, button, *keep = CONFIRM[asked]
        await self.show(
            "confirm.html",
            subject=session.title or session.name,
            to=f"sessions/{session.name}/{action}",
            question=question,
            meaning=meaning,
            button=button,
            keep=(keep or ["Keep it"])[0],
            back=f"sessions/{session.name}/starting" if asked == "cancel" else "",
        )

    async def post(self, name: str, action: str) -> None:
        hub, starts = self.site.hub, self.site.starts
        if action == "start":
            starts.begin(self.token, self.owner, name)
            self.redirect(f"{self.site.prefix}sessions/{name}/starting", status=303)
            return
        starts.forget(self.owner, name)
        with self.timed("hub"):
            try:
                await getattr(hub, action)(self.token, self.owner, name)
            except NotThere:
                # Gone already, as was wanted: another tab, or a second click.
                if action not in ("stop", "delete"):
                    raise
        self.redirect(f"{self.site.prefix}#sessions", status=303)

    async def _session(self, name: str) -> Session:
        with self.timed("hub"):
            sessions = await self.site.hub.sessions(self.token)
        for session in sessions:
            if session.name == name:
                return session
        raise NotThere("There is no such session.")


ROUTES = [
    ("?", SessionsHandler),
    ("sessions", TilesHandler),
    (f"sessions/{NAME}/(stop|suspend|resume|delete|start)", ActionHandler),
]
