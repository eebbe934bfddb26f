"""What a page in the session wants to know as it changes: who is in, as what, who asks to join.

`GET visa/news` is one long answer, an object a line: the whole truth at that moment for the person who
reads it. An empty line says that the stream is alive. For the owner:

    {"role": "owner", "owner": {"name", "full_name", "present"}, "away",
     "members": [{"name", "full_name", "role", "support", "since", "until", "present": time | null}],
     "requests", "help", "notices",        the last three and `away` as the hub has them
     "ends": time | "", "may_extend",      when the session ends, and by how many hours it may be extended
     "data": [{"id", "title"}]}            the experiments that it has now

and for a member, who learns who else is in, and nothing that is between the owner and the hub:

    {"role", "granted", "owner": {"name", "full_name", "present"}, "support", "until", "ends",
     "members": [{"full_name", "role", "support"}]}

`granted` is more than `role` where the owner's absence takes something away.

The other calls are the owner's: they are handed on to the hub, whose word it is.
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from .away import Presence
from .connections import Connections
from .contract import SHARING_PATH, SessionInfo
from .hubcalls import HubCalls, HubFailed
from .members import Members
from .roles import Role

#: Seconds of silence after which a line says that the stream is alive.
HEARTBEAT = 20.0


class News:
    """What is known in this session, as each reader may see it."""

    def __init__(self, info: SessionInfo, members: Members, presence: Presence):
        self.info, self.members, self.presence = info, members, presence
        self._readers: set[asyncio.Event] = set()

    def told(self) -> None:
        """Something has changed."""
        for reader in self._readers:
            reader.set()

    def add_reader(self, event: asyncio.Event) -> None:
        """Have an event set whenever something changes."""
        self._readers.add(event)

    def remove_reader(self, event: asyncio.Event) -> None:
        """One that reads no more."""
        self._readers.discard(event)

    def for_reader(self, name: str, role: Role) -> dict:
        """The object for somebody who is in as `role`."""
        table = self.members.table
        owner = {
            "name": self.info.owner,
            "full_name": table.owner_full_name or self.info.owner,
            "present": self.presence.since(self.info.owner) is not None,
        }
        if role is Role.OWNER:
            return {
                "role": role,
                "owner": owner,
                "away": table.away,
                "members": [self._whole(member) for member in table.members.values()],
                "requests": list(table.requests),
                "help": table.help,
                "notices": list(table.notices),
                "ends": table.ends or self.info.ends,
                "may_extend": table.may_extend,
                "put_out": list(table.put_out.values()),
                "data": [{"id": one.id, "title": one.title} for one in self.info.experiments],
            }
        own = table.members.get(name)
        return {
            "role": role,
            "owner": owner,
            "granted": own.role if own else role,
            "support": bool(own and own.support),
            "until": own.until_words if own else None,
            "ends": table.ends or self.info.ends,
            "members": [
                {
                    "full_name": member.full_name,
                    "role": self.members.role_of(member.name),
                    "support": member.support,
                }
                for member in table.members.values()
                if self.presence.since(member.name) is not None and self.members.role_of(member.name)
            ],
        }

    def _whole(self, member) -> dict:
        return {
            "name": member.name,
            "full_name": member.full_name,
            "role": member.role,
            "support": member.support,
            "since": member.since,
            "until": member.until_words,
            "present": self.presence.since(member.name),
        }


class NewsCall(APIHandler):
    """`GET visa/news`: the stream. It ends with the reader's access, or when their role changes."""

    #: A role that goes up makes another stream of it.
    anew_when_raised = True

    def initialize(self, news: News, connections: Connections):
        """Called by Tornado for each request."""
        self.news, self.connections = news, connections
        self.changed, self.over = asyncio.Event(), False

    async def get(self):
        """Write each change until the reader goes."""
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        self.connections.lasts(self)
        self.news.add_reader(self.changed)
        last = None
        try:
            while not self.over:
                # Cleared first: what changes while this is written is written next.
                self.changed.clear()
                text = json.dumps(self.news.for_reader(self.current_user.username, self.visa_role))
                if text != last:
                    self.write(text + "\n")
                    last = text
                    await self.flush()
                try:
                    await asyncio.wait_for(self.changed.wait(), HEARTBEAT)
                except TimeoutError:
                    self.write("\n")
                    await self.flush()
            if self.current_user.username in self.news.members.table.put_out:
                self.write(json.dumps({"ended": "data"}) + "\n")
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.news.remove_reader(self.changed)

    def end(self):
        """Finish the answer: the proxy would keep one that breaks off open towards the reader."""
        self.over = True
        self.changed.set()

    def on_connection_close(self):
        """The reader went away."""
        self.end()
        super().on_connection_close()

    def update_api_activity(self):
        """Reading what others do is no sign that somebody works."""


class OwnersCall(APIHandler):
    """A call that is handed on to the hub, with the hub's answer."""

    def initialize(self, hub: HubCalls, info: SessionInfo):
        """Called by Tornado for each request."""
        self.hub = hub
        self.sharing = f"{SHARING_PATH}/{quote(info.owner, safe='')}/{quote(info.name, safe='')}"

    async def hand_on(self, method: str, path: str, body: object = None) -> None:
        """Make the hub's call; its refusal is ours."""
        try:
            status, text = await self.hub.call(method, path, body)
        except HubFailed as error:
            raise HTTPError(
                503, "The hub cannot be reached at the moment. Try again in a few seconds."
            ) from error
        if status >= 300:
            raise HTTPError(status if 400 <= status < 500 else 502, words_of(text))
        self.set_status(204)
        self.finish()

    def update_api_activity(self):
        """Saying who may watch is no work."""


def words_of(text: str) -> str:
    """What the hub's refusal says, for a person."""
    try:
        words = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        words = None
    return words if isinstance(words, str) and words else "The hub did not take it."


class AnswersCall(OwnersCall):
    """`POST visa/answers` `{"request", "answer"}`: answer support's request to join."""

    async def post(self):
        """The hub looks at what is in it."""
        body = self.get_json_body()
        if not isinstance(body, dict) or set(body) != {"request", "answer"}:
            raise HTTPError(400, 'request: expected {"request": ..., "answer": ...} and nothing else')
        await self.hand_on("POST", f"{self.sharing}/answers", body)


class MembersCall(OwnersCall):
    """`DELETE visa/members` ends every membership, `DELETE visa/members/USER` one."""

    async def delete(self, name: str | None = None):
        """End it; the sockets close when the hub's new table comes."""
        one = f"/{quote(name, safe='')}" if name else ""
        await self.hand_on("DELETE", f"{self.sharing}/members{one}")


class NoticeCall(OwnersCall):
    """`POST visa/notices/ID/seen`: the owner has read a notice."""

    async def post(self, notice: str):
        """Say so."""
        await self.hand_on("POST", f"visa/notices/{quote(notice, safe='')}/seen", {})
