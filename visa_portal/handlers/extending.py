""" "Extend": an owner has a session go on longer, where the facility allows it."""

from __future__ import annotations

from ..choice import LIFETIMES
from ..forms import checked, only
from ..hub import NotThere, Refused
from ..models import ExtendForm, FormError, Session
from . import NAME
from .base import PersonHandler
from .starting import find


class ExtendHandler(PersonHandler):
    """The form, and its POST. Whether it may be is the hub's to say, in its own words."""

    async def get(self, name: str) -> None:
        await self._show(name)

    async def post(self, name: str) -> None:
        sent = {field: values for field, values in self.sent().items() if field != "_xsrf"}
        try:
            form = checked(ExtendForm, {field: only(sent, field) for field in sent})
            with self.timed("hub"):
                await self.site.hub.extend(self.token, self.owner, name, form.hours)
        except (FormError, Refused) as wrong:
            status = getattr(wrong, "status", 400)
            self.set_status(status if 400 <= status < 600 else 400)
            await self._show(name, wrong.words)
            return
        self.redirect(f"{self.site.prefix}#session-{name}", status=303)

    async def _show(self, name: str, refused: str = "") -> None:
        session = await find(self, name)
        if session is None:
            raise NotThere("There is no such session.")
        await self.show("extend.html", session=session, choices=choices(session), refused=refused)


def choices(session: Session) -> tuple[float, ...]:
    """By how many hours it may be extended, shortest first, the longest in whole hours or days among them."""
    longest = session.may_extend
    if session.state not in ("running", "unknown", "suspended") or longest <= 0:
        return ()
    if longest >= 1:
        unit = 24 if longest >= 48 else 1
        longest = longest // unit * unit
    return tuple(sorted({float(hours) for hours in LIFETIMES if hours < longest} | {longest}))


ROUTES = [(f"sessions/{NAME}/extend", ExtendHandler)]
