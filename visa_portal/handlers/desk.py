"""What the pages for staff share: calls as the person, one search for all, refusals shown on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from tornado.web import HTTPError

from visa_catalogue import Query
from visa_catalogue.account import Role

from .. import words_staff
from ..forms import LABELS
from ..hub import NotThere, Refused
from ..hub_staff import StaffCalls
from ..models_staff import STATES
from ..site import helps
from .base import PersonHandler

#: Sessions shown at first, and at most; who needs more than that needs a better search.
FEW, MOST = 50, 200
#: Somebody's session in an address: the account's name, and the session's.
SESSION = r"([^/]+)/([a-z][a-z0-9-]{0,29})"


@dataclass(frozen=True)
class Search:
    """What sessions are looked for, and how many are shown."""

    q: str = ""
    state: str = ""
    instrument: str = ""
    limit: int = FEW

    @property
    def query(self) -> dict:
        """As the hub takes it."""
        return {"q": self.q, "state": self.state, "instrument": self.instrument, "limit": self.limit}

    @property
    def any(self) -> bool:
        return bool(self.q or self.state or self.instrument)

    def address(self, **others) -> str:
        """The query of the page's address that asks for the same; `others` replace."""
        values = {
            "q": self.q,
            "state": self.state,
            "instrument": self.instrument,
            "limit": self.limit,
        } | others
        if values["limit"] == FEW:
            del values["limit"]
        return urlencode({key: value for key, value in values.items() if value})

    @property
    def more(self) -> str:
        """The address of the same with more of them; empty where it is enough."""
        return self.address(limit=min(self.limit * 4, MOST)) if self.limit < MOST else ""


class DeskHandler(PersonHandler):
    """A page for staff. Whom they may help is the hub's to say; its refusals are shown in its words."""

    #: What was done, by the word that the address carries after it.
    SAID: dict[str, str] = {}

    async def prepare(self) -> None:
        await super().prepare()
        if not (helps(self.account) or await self.site.contacts.has(self.account)):
            raise HTTPError(403, "This page is for the facility's staff.")

    @property
    def calls(self) -> StaffCalls:
        return StaffCalls(self.site.hub, self.token)

    @property
    def said(self) -> str:
        """What was done just before, in words; empty for a page that is simply opened."""
        return self.SAID.get(self.get_query_argument("said", ""), "")

    def search(self) -> Search:
        """What the address looks for; what cannot be is left out."""
        state = self.get_query_argument("state", "")
        limit = self.get_query_argument("limit", "")
        return Search(
            q=self.get_query_argument("q", "")[:200],
            state=state if state in STATES else "",
            instrument=self.get_query_argument("instrument", "")[:200],
            limit=min(max(int(limit), 1), MOST) if limit.isascii() and limit.isdigit() else FEW,
        )

    async def instruments(self) -> list[str]:
        """The instruments of all experiments that the person may see, to choose from."""
        with self.timed("catalogue"):
            return list(
                (await self.site.catalogue.search(self.account, Query(scope="all", limit=0))).instruments
            )

    def body(self, name: str) -> str:
        """A field of the form."""
        return self.get_body_argument(name, "")

    def done(self, path: str, said: str) -> None:
        """Go back to a page, which says what was done."""
        self.redirect(f"{self.site.prefix}{path}?said={said}", status=303)

    async def give(self, template: str, **values) -> None:
        """Finish with the page, or with the part of it that its script asked for."""
        values = {"ask_states": words_staff.ASK_STATES, "roles": words_staff.ROLES} | values
        if self.is_fragment:
            self.finish(self.page(template, **values))
        else:
            await self.show(template, **values)

    @contextmanager
    def refusing(self) -> Iterator[list[str]]:
        """Collects what the hub refuses inside, to be shown on the page that asked for it."""
        refused: list[str] = []
        try:
            with self.timed("hub"):
                yield refused
        except (Refused, NotThere) as error:
            self.set_status(error.status)
            field = getattr(error, "field", "")
            label = LABELS.get(field) or field.capitalize()
            refused.append(f"{label}: {error.words}" if label else error.words[:1].upper() + error.words[1:])


class AdministratorHandler(DeskHandler):
    """A page for administrators; the hub decides again with each call."""

    async def prepare(self) -> None:
        await super().prepare()
        if Role.ADMINISTRATOR not in self.account.roles:
            raise HTTPError(403, "This page is for the facility's administrators.")
