"""Other people's sessions that one is let into: leaving them."""

from __future__ import annotations

from urllib.parse import quote

from ..hub import NotThere
from . import NAME
from .base import PersonHandler

LEAVE = (
    "Leave this session?",
    "What you have open of it closes at once, and it disappears from this page. "
    "To come back you need to be let in again.",
    "Leave",
    "Stay in it",
)


class LeaveHandler(PersonHandler):
    """Asked on a page of its own where no script runs, done by a POST."""

    async def get(self, owner: str, name: str) -> None:
        with self.timed("hub"):
            shared = await self.site.sharing.shared(self.token)
        found = next((one for one in shared if (one.owner, one.name) == (owner, name)), None)
        if found is None:
            raise NotThere("You are in no such session.")
        question, meaning, button, keep = LEAVE
        await self.show(
            "confirm.html",
            subject=found.title or found.name,
            to=f"shared/{quote(owner, safe='')}/{name}/leave",
            question=question,
            meaning=meaning,
            button=button,
            keep=keep,
        )

    async def post(self, owner: str, name: str) -> None:
        try:
            await self.site.sharing.end(self.token, owner, name, self.owner)
        except NotThere:
            # Out already: the owner was quicker, or a second click.
            pass
        self.redirect(f"{self.site.prefix}#shared", status=303)


ROUTES = [(f"shared/([^/]{{1,255}})/{NAME}/leave", LeaveHandler)]
