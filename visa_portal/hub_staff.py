"""The hub's calls for staff, each as the person whose token is given; see docs/developers/sharing.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, urlencode

from .hub import HubClient, read
from .models_sharing import Event
from .models_staff import Announcement, Ask, Desk, Node, Supported


class StaffCalls:
    """What staff and administrators may ask of the hub.

    Failures are `hub.HubError` and its kinds: `NotThere` for a session that the caller may not know of,
    `Refused` for what is wrong or not theirs to do.
    """

    def __init__(self, hub: HubClient, token: str):
        self.hub, self.token = hub, token

    async def desk(self, **query) -> Desk:
        """Sessions the caller may help with, by `q`, `state`, `instrument`, `node`; at most `limit`."""
        return read(Desk, await self._call("GET", f"visa/support?{_query(query)}"))

    async def supported(self, owner: str, name: str) -> Supported:
        """One session, with the last lines of its log and what it uses."""
        return read(Supported, await self._call("GET", f"visa/support/{_session(owner, name)}"))

    async def ask(self, owner: str, name: str, role: str, message: str) -> Ask:
        """Ask the session's owner to be let in."""
        body = {"role": role, "message": message}
        return read(Ask, await self._call("POST", f"visa/support/{_session(owner, name)}/ask", body))

    async def leave(self, owner: str, name: str) -> None:
        """Withdraw the request, or leave the session."""
        await self._call("DELETE", f"visa/support/{_session(owner, name)}/ask")

    async def second(self, owner: str, name: str, request: int) -> None:
        """Agree that a colleague enters while the owner does not answer."""
        await self._call("POST", f"visa/support/{_session(owner, name)}/second", {"request": request})

    async def take(self, request: int) -> None:
        """Take a request for help; Refused with 409 where somebody else was first."""
        await self._call("POST", f"visa/support/help/{request}/take", {})

    async def close(self, request: int, words: str) -> None:
        """Close a request for help."""
        await self._call("POST", f"visa/support/help/{request}/close", {"words": words})

    async def sessions(self, **query) -> Desk:
        """Everybody's sessions, as `desk` finds them; for administrators."""
        return read(Desk, await self._call("GET", f"visa/admin/sessions?{_query(query)}"))

    async def stop(self, owner: str, name: str) -> None:
        """Stop somebody's session."""
        await self._call("DELETE", f"visa/admin/sessions/{_session(owner, name)}", timeout=60)

    async def message(self, owner: str, name: str, words: str) -> None:
        """Leave words for a session's owner."""
        await self._call("POST", f"visa/admin/sessions/{_session(owner, name)}/message", {"words": words})

    async def end_membership(self, owner: str, name: str, member: str) -> None:
        """End what one person was given in somebody's session."""
        await self._call("DELETE", f"visa/sharing/{_session(owner, name)}/members/{quote(member, safe='')}")

    async def nodes(self) -> list[Node]:
        """The machines sessions run on."""
        answer = await self._call("GET", "visa/admin/nodes")
        return [read(Node, one) for one in answer.get("nodes", ())]

    async def drain(self, backend: str, node: str, drained: bool, words: str = "") -> None:
        """Send no new sessions to a node, or send them again."""
        path = f"visa/admin/nodes/{quote(backend, safe='')}/{quote(node, safe='')}"
        await self._call("PUT", path, {"drained": drained, "words": words})

    async def announcements(self) -> list[Announcement]:
        """All announcements, those that are over too; newest first."""
        answer = await self._call("GET", "visa/admin/announcements")
        return [read(Announcement, one) for one in answer.get("announcements", ())]

    async def announce(self, body: Mapping) -> None:
        """Make an announcement: `words`, `instrument`, `since`, `until`."""
        await self._call("POST", "visa/admin/announcements", dict(body))

    async def end_announcement(self, number: int) -> None:
        """End it now."""
        await self._call("DELETE", f"visa/admin/announcements/{number}")

    async def audit(self, **query) -> list[Event]:
        """Lines of the audit log, newest first; `before` is the id to go on from."""
        answer = await self._call("GET", f"visa/audit?{_query(query)}")
        return [read(Event, one) for one in answer.get("events", ())]

    def audit_file(self, **query) -> AsyncIterator[bytes]:
        """The same as a CSV file, piece by piece, however long."""
        return self.hub.pieces(f"visa/audit?{_query(query)}", self.token, "text/csv")

    async def _call(self, method: str, path: str, body: dict | None = None, timeout: float = 0):
        return await self.hub.call(method, path, self.token, body, timeout)


def _session(owner: str, name: str) -> str:
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"


def _query(values: Mapping) -> str:
    return urlencode([(key, str(value)) for key, value in values.items() if value not in ("", None)])
