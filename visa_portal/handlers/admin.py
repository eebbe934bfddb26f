""" "Admin": everybody's sessions, and what an administrator may do with one of them."""

from __future__ import annotations

from ..hub import NotThere
from ..models_staff import Supported
from ..words_staff import at
from .base import LiveHandler
from .desk import SESSION, AdministratorHandler

#: What is asked before it is done: the question, what it means, and the words on the two buttons.
CONFIRM = {
    "stop": (
        "Stop this session?",
        "Programs that run in it end, and what they have not saved is lost. Files stay, and the owner can "
        "start it again. The audit log tells who stopped it.",
        "Stop it",
        "Let it run",
    ),
    "end": (
        "End this membership?",
        "That person is out at once, and comes in again only if the owner lets them in.",
        "End it",
        "Keep it",
    ),
}


class AdminHandler(AdministratorHandler):
    """The list of all sessions."""

    template = "admin.html"

    async def get(self) -> None:
        search = self.search()
        with self.timed("hub"):
            found = await self.calls.sessions(**search.query)
        await self.give(
            self.template,
            search=search,
            instruments=() if self.is_fragment else await self.instruments(),
            sessions=found.sessions,
            more=found.more,
        )


class ListHandler(LiveHandler, AdminHandler):
    """The list alone."""

    template = "admin_list.html"


class SessionHandler(AdministratorHandler):
    """One session: its facts and members; stop it, write to its owner, end a membership."""

    SAID = {
        "stop": "It is being stopped.",
        "message": "The owner reads it on top of the next page, and inside the session.",
        "end": "That person is no longer let in.",
    }
    template = "admin_session.html"

    async def get(self, owner: str, name: str) -> None:
        await self.present(owner, name)

    async def present(self, owner: str, name: str, refused: list[str] = (), words: str = "") -> None:
        await self.give(
            self.template,
            s=await self.session(owner, name),
            at=f"{self.site.prefix}admin/sessions/{at(owner, name)}",
            case=f"{self.site.prefix}support/{at(owner, name)}",
            confirm=CONFIRM,
            refused=refused,
            words=words,
            said=self.said,
        )

    async def session(self, owner: str, name: str) -> Supported:
        with self.timed("hub"):
            found = await self.calls.sessions(q=f"{owner}/{name}", limit=500)
        for session in found.sessions:
            if (session.owner, session.name) == (owner, name):
                return session
        raise NotThere("There is no such session.")


class SessionLiveHandler(LiveHandler, SessionHandler):
    """What changes of one session's page."""

    template = "admin_live.html"


class ActHandler(SessionHandler):
    """Stop, write, end: what cannot be undone is asked for on a page of its own first."""

    async def get(self, owner: str, name: str, what: str) -> None:
        place = f"admin/sessions/{at(owner, name)}"
        session = await self.session(owner, name)
        title = session.title or session.name
        member = self.get_query_argument("member", "")
        if what == "message" or (what == "end" and not member):
            self.redirect(self.site.prefix + place)
            return
        question, meaning, button, keep = CONFIRM[what]
        await self.show(
            "confirm.html",
            subject=f"{title} ({owner})" if what == "stop" else f"{member} in {title} ({owner})",
            question=question,
            meaning=meaning,
            to=f"{place}/{what}",
            carried={"member": member} if member else {},
            back=place,
            button=button,
            keep=keep,
        )

    async def post(self, owner: str, name: str, what: str) -> None:
        words = self.body("words")
        with self.refusing() as refused:
            if what == "stop":
                await self.calls.stop(owner, name)
            elif what == "message":
                await self.calls.message(owner, name, words)
            else:
                await self.calls.end_membership(owner, name, self.get_argument("member", ""))
        if refused:
            await self.present(owner, name, refused, words)
        else:
            self.done(f"admin/sessions/{at(owner, name)}", what)


ROUTES = [
    ("admin", AdminHandler),
    ("admin/list", ListHandler),
    (f"admin/sessions/{SESSION}", SessionHandler),
    (f"admin/sessions/{SESSION}/live", SessionLiveHandler),
    (f"admin/sessions/{SESSION}/(stop|message|end)", ActHandler),
]
