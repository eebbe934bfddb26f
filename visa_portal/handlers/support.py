""" "Support": the sessions that staff may help with, what their owners ask, and asking to be let in."""

from __future__ import annotations

from dataclasses import dataclass

from ..models_staff import Ask, Supported
from ..words_staff import at
from .base import LiveHandler
from .desk import SESSION, DeskHandler


@dataclass(frozen=True)
class Case:
    """One session, with one's own last request to join it, and those of colleagues that one may second."""

    session: Supported
    mine: Ask | None
    others: tuple[Ask, ...] = ()

    @classmethod
    def of(cls, session: Supported, person: str) -> Case:
        """As `person` sees it."""
        mine = [ask for ask in session.asks if ask.staff == person]
        others = tuple(ask for ask in session.asks if ask.may_second)
        return cls(session, max(mine, key=lambda ask: ask.id, default=None), others)

    @property
    def inside(self) -> bool:
        return self.mine is not None and self.mine.inside


class SupportHandler(DeskHandler):
    """The list: requests for help, one's own requests to join, and the sessions."""

    SAID = {
        "taken": "It is yours. The owner is told that you take care of it.",
        "closed": "Closed. The owner reads what came of it.",
        "left": "You have left the session.",
    }
    template = "support.html"

    async def get(self) -> None:
        await self.present()

    async def present(self, refused: list[str] = ()) -> None:
        search = self.search()
        with self.timed("hub"):
            desk = await self.calls.desk(**search.query)
        await self.give(
            self.template,
            search=search,
            instruments=() if self.is_fragment else await self.instruments(),
            sessions=desk.sessions,
            more=desk.more,
            help=sorted(desk.help, key=lambda one: (one.state != "open", one.id)),
            asks=[ask for ask in desk.asks if ask.staff == self.owner],
            waiting=[ask for ask in desk.asks if ask.may_second],
            may=desk.may,
            refused=refused,
            said=self.said,
        )


class ListHandler(LiveHandler, SupportHandler):
    """What changes of the list."""

    template = "support_list.html"


class HelpHandler(SupportHandler):
    """Take a request for help, or close it."""

    async def get(self, number: str, what: str) -> None:
        self.redirect(f"{self.site.prefix}support")

    async def post(self, number: str, what: str) -> None:
        with self.refusing() as refused:
            if what == "take":
                await self.calls.take(int(number))
            else:
                await self.calls.close(int(number), self.body("words"))
        if refused:
            await self.present(refused)
        else:
            self.done("support", "taken" if what == "take" else "closed")


class CaseHandler(DeskHandler):
    """One session: all that is known of it from outside, and asking to be let in."""

    SAID = {
        "asked": "The owner has been asked. This page shows the answer as soon as it is there.",
        "left": "You are no longer in this session.",
        "seconded": "You have agreed. Your colleague can enter now, and the owner will be told.",
        "taken": "It is yours. The owner is told that you take care of it.",
        "closed": "Closed. The owner reads what came of it.",
    }
    template = "support_session.html"

    async def get(self, owner: str, name: str) -> None:
        await self.present(owner, name)

    async def present(self, owner: str, name: str, refused: list[str] = (), message: str = "") -> None:
        case = await self.case(owner, name)
        await self.give(
            self.template,
            case=case,
            s=case.session,
            at=f"{self.site.prefix}support/{at(owner, name)}",
            refused=refused,
            message=message,
            said=self.said,
        )

    async def case(self, owner: str, name: str) -> Case:
        with self.timed("hub"):
            return Case.of(await self.calls.supported(owner, name), self.owner)


class CaseLiveHandler(LiveHandler, CaseHandler):
    """What changes of one session's page."""

    template = "support_live.html"


class AskHandler(CaseHandler):
    """Ask to join, withdraw or leave, agree to a colleague's request; take one for help, and close it."""

    async def get(self, owner: str, name: str, what: str) -> None:
        self.redirect(f"{self.site.prefix}support/{at(owner, name)}")

    async def post(self, owner: str, name: str, what: str) -> None:
        message = self.body("message")
        number = self.body("request")
        number = int(number) if number.isdecimal() and len(number) < 19 else 0
        said = {"ask": "asked", "leave": "left", "second": "seconded", "take": "taken"}.get(what, "closed")
        with self.refusing() as refused:
            if what == "ask":
                await self.calls.ask(owner, name, self.body("role"), message)
            elif what == "leave":
                await self.calls.leave(owner, name)
            elif what == "second":
                await self.calls.second(owner, name, number)
            elif what == "take":
                await self.calls.take(number)
            else:
                await self.calls.close(number, self.body("words"))
        if refused:
            await self.present(owner, name, refused, message)
        else:
            self.done(f"support/{at(owner, name)}", said)


ROUTES = [
    ("support", SupportHandler),
    ("support/list", ListHandler),
    ("support/help/([0-9]{1,18})/(take|close)", HelpHandler),
    (f"support/{SESSION}", CaseHandler),
    (f"support/{SESSION}/live", CaseLiveHandler),
    (f"support/{SESSION}/(ask|leave|second|take|close)", AskHandler),
]
