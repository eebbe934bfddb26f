"""The hub's calls about letting people in, notices and the history, as the person whose token is given."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from .hub import HubClient, read
from .models_sharing import Event, Joined, Link, Member, Mine, Notices, Shared, Sharing


def _part(value: str | int) -> str:
    return quote(str(value), safe="")


class SharingCalls:
    """Calls of `visa_sharing`. Errors are `hub`'s; `owner` and `name` are a session's."""

    def __init__(self, hub: HubClient):
        self.hub = hub

    @staticmethod
    def _at(owner: str, name: str, *below: str | int) -> str:
        return "/".join(["visa/sharing", *map(_part, (owner, name, *below))])

    async def sharing(self, token: str, owner: str, name: str) -> Sharing:
        """Who is in a session of one's own."""
        return read(Sharing, await self.hub.call("GET", self._at(owner, name), token))

    async def let_in(
        self, token: str, owner: str, name: str, who: str, role: str, despite: tuple[str, ...] = ()
    ) -> Member:
        """Let somebody in; raises `Despite` where the owner has to agree first."""
        body = {"name": who, "role": role} | ({"despite": list(despite)} if despite else {})
        return read(Member, await self.hub.call("POST", self._at(owner, name, "members"), token, body))

    async def change(self, token: str, owner: str, name: str, who: str, role: str) -> None:
        """Give a member another role."""
        await self.hub.call("PATCH", self._at(owner, name, "members", who), token, {"role": role})

    async def end(self, token: str, owner: str, name: str, who: str) -> None:
        """End one membership, one's own included."""
        await self.hub.call("DELETE", self._at(owner, name, "members", who), token)

    async def end_all(self, token: str, owner: str, name: str) -> None:
        """End all memberships."""
        await self.hub.call("DELETE", self._at(owner, name, "members"), token)

    async def share_with_team(self, token: str, owner: str, name: str, experiment: str, role: str) -> None:
        """Let in whoever belongs to an experiment's team; with no role, end that."""
        at = self._at(owner, name, "teams", experiment)
        await (
            self.hub.call("PUT", at, token, {"role": role}) if role else self.hub.call("DELETE", at, token)
        )

    async def make_link(self, token: str, owner: str, name: str, role: str, hours: float, uses: int) -> Link:
        """Make an invitation link: the only answer that has its code."""
        body = {"role": role, "hours": hours, "uses": uses}
        return read(Link, await self.hub.call("POST", self._at(owner, name, "links"), token, body))

    async def revoke(self, token: str, owner: str, name: str, link: int) -> None:
        """Take a link back; who came by it stays."""
        await self.hub.call("DELETE", self._at(owner, name, "links", link), token)

    async def lock(self, token: str, owner: str, name: str, locked: bool) -> None:
        """Lock or unlock a session for the owner's absence."""
        await self.hub.call("PUT", self._at(owner, name, "lock"), token, {"locked": locked})

    async def answer(self, token: str, owner: str, name: str, request: int, answer: str) -> None:
        """Answer support's request: `as-asked`, `watch` or `decline`."""
        body = {"request": request, "answer": answer}
        await self.hub.call("POST", self._at(owner, name, "answers"), token, body)

    async def ask_for_help(self, token: str, owner: str, name: str, message: str) -> None:
        """Ask the instrument's staff for help."""
        await self.hub.call("POST", self._at(owner, name, "help"), token, {"message": message})

    async def withdraw_help(self, token: str, owner: str, name: str) -> None:
        """Take the request for help back."""
        await self.hub.call("DELETE", self._at(owner, name, "help"), token)

    async def join(self, token: str, code: str) -> Joined:
        """Come in by a link; raises NotThere for a code that is not good (any more)."""
        return read(Joined, await self.hub.call("POST", "visa/join", token, {"code": code}))

    async def mine(self, token: str) -> Mine:
        """Who is in one's own sessions, and the sessions one is let into: for a page that looks often."""
        return read(Mine, await self.hub.call("GET", "visa/mine", token))

    async def shared(self, token: str) -> list[Shared]:
        """The sessions of others that one is let into."""
        answer = await self.hub.call("GET", "visa/shared", token)
        return [read(Shared, one) for one in answer.get("sessions", ())]

    async def history(
        self, token: str, session: tuple[str, str] | None = None, before: int = 0, limit: int = 50
    ) -> list[Event]:
        """What happened, newest first: in one session, or in all that one may read about."""
        asked: dict[str, str | int] = {"limit": limit}
        if session is not None:
            asked["session"] = "/".join(session)
        if before:
            asked["before"] = before
        answer = await self.hub.call("GET", f"visa/history?{urlencode(asked)}", token)
        return [read(Event, one) for one in answer.get("events", ())]

    async def notices(self, token: str) -> Notices:
        """Announcements for a person, messages to them, and who of support asks to join."""
        return read(Notices, await self.hub.call("GET", "visa/notices", token))

    async def seen(self, token: str, notice: int) -> None:
        """Have a message not shown again."""
        await self.hub.call("POST", f"visa/notices/{_part(notice)}/seen", token)
