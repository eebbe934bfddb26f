"""The people in a session, put together: the line, the table, what is open, who is in, who is told."""

from __future__ import annotations

import asyncio

from jupyter_server.utils import url_path_join

from .away import ENTERED, Presence, Visit
from .connections import Connections
from .desktop import Desktop
from .entries import Entries
from .hubcalls import HubCalls
from .identity import SessionAuth
from .line import Line
from .live import LiveInfo
from .members import Members
from .news import AnswersCall, MembersCall, News, NewsCall, NoticeCall
from .roles import CONTROLS_DESKTOP


class People:
    """One session's people; nothing runs before `start`."""

    def __init__(self, info: LiveInfo, desktop: Desktop, auth: SessionAuth):
        self.info, self.desktop = info, desktop
        self.hub = HubCalls(auth.api_token)
        self.members = Members(info.owner)
        self.connections = Connections(self.members.role_of)
        self.presence = Presence(self.members.role_of, self._came_or_went)
        self.connections.came, self.connections.went = self.presence.came, self.presence.went
        self.news = News(info, self.members, self.presence)
        self.entries = Entries(self.hub)
        self.line = Line(self.hub, self.members, before=auth.forget)
        self._controlled: set[str] = set()
        self.members.watch(self.connections.settle)
        self.members.watch(lambda: info.follow(self.members.table.experiments))
        self.members.watch(self._guard_desktop)
        self.members.watch(self.news.told)
        self._tasks: list[asyncio.Task] = []

    def handlers(self, base: str) -> list[tuple]:
        """What the session's server answers about its people."""
        told = {"hub": self.hub, "info": self.info}
        news = {"news": self.news, "connections": self.connections}
        return [
            (url_path_join(base, "visa/news"), NewsCall, news),
            (url_path_join(base, "visa/answers"), AnswersCall, told),
            (url_path_join(base, "visa/members"), MembersCall, told),
            (url_path_join(base, "visa/members/([^/]+)"), MembersCall, told),
            (url_path_join(base, r"visa/notices/([\w-]+)/seen"), NoticeCall, told),
        ]

    def start(self) -> None:
        """Open the line and send entries; on the server's event loop."""
        self._tasks = [asyncio.create_task(self.line.run()), asyncio.create_task(self.entries.run())]

    async def stop(self) -> None:
        """The session ends: so does everybody's visit."""
        for task in self._tasks:
            task.cancel()
        self.members.stop()
        self.presence.everybody_leaves()
        await self.entries.finish()

    def _came_or_went(self, what: str, visit: Visit) -> None:
        self.entries.add(what, visit)
        if visit.name == self.info.owner:
            self.members.owner_is(what == ENTERED)
        self.news.told()

    def _guard_desktop(self) -> None:
        """Make the VNC server's passwords anew when somebody may not act any more who could read them."""
        control = {
            name for name in self.members.table.members if self.members.role_of(name) in CONTROLS_DESKTOP
        }
        gone, self._controlled = self._controlled - control, control
        if gone:
            self.desktop.renew_passwords()
