"""The line to the hub: one request that stays open, on which the hub writes the table of members.

The hub says the same table again from time to time, several times within `trust_seconds`. Silence for longer
than that is a dead line; keepalive of TCP mostly notices one sooner.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket as sockets
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientError, ClientResponse, ClientTimeout

from .contract import LINE_PATH
from .hubcalls import HubCalls, HubFailed
from .members import Members, Table

log = logging.getLogger("visa")

#: Seconds before the line is opened again, and at most between two attempts.
FIRST_WAIT, LONGEST_WAIT = 0.2, 2.0
#: The same after a hub that is there did not answer in time: it has thousands of sessions to answer.
BUSY_WAIT = 8.0
#: Seconds between two attempts where the hub has no such call.
WAIT_FOR_THE_CALL = 30.0
#: Seconds the hub has to take the connection, and to answer.
CONNECT_LIMIT, ANSWER_LIMIT = 5.0, 20.0
#: Keepalive: asked after 10 s of silence, given up after 3 questions 5 s apart: 25 s in all.
KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
#: Seconds of silence, at least, after which a line is taken for dead: a busy hub is not.
SHORTEST_SILENCE = 3.0
#: Bytes of the longest table.
LONGEST = 4 * 1024 * 1024


class LineBroken(Exception):
    """The line ended or could not be opened; the text says why."""


class HubBusy(LineBroken):
    """The hub is there and has not answered in time."""


class NoSuchCall(LineBroken):
    """This hub has no line to its sessions."""


class Line:
    """Keeps the line open and the members up to date.

    `before` is called before each new table is taken, to forget what rests on an old one.
    """

    def __init__(self, hub: HubCalls, members: Members, before: Callable[[], None] = lambda: None):
        self.hub, self.members, self.before = hub, members, before
        self._wait = FIRST_WAIT

    async def run(self) -> None:
        """Keep it open for as long as the session lasts."""
        while True:
            try:
                await self._listen()
            except NoSuchCall as reason:
                self.members.forget()
                log.warning("Nobody but the owner can be let in: %s", reason)
                await asyncio.sleep(WAIT_FOR_THE_CALL * random.uniform(0.5, 1.0))
                continue
            except LineBroken as reason:
                log.warning("The line to the hub is broken, opening it again: %s", reason)
                if isinstance(reason, HubBusy):
                    self._wait = BUSY_WAIT
            except Exception:
                # Whatever it is, the line must come back: without it nobody can be let in or put out.
                log.exception("The line to the hub broke in an unknown way")
            self.members.line_lost()
            await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))
            self._wait = min(self._wait * 2, LONGEST_WAIT)

    async def _listen(self) -> None:
        limits = ClientTimeout(total=None, sock_connect=CONNECT_LIMIT, sock_read=None)
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                answer = await self.hub.open("GET", LINE_PATH, timeout=limits)
        except TimeoutError as error:
            raise HubBusy("it does not answer in time") from error
        except HubFailed as error:
            raise LineBroken(str(error)) from error
        async with answer:
            if answer.status in (404, 405, 410, 501):
                raise NoSuchCall(f"this hub has no line to its sessions ({answer.status})")
            if answer.status != 200:
                raise LineBroken(f"it answered {answer.status}")
            keep_alive(answer)
            known = b""
            async for text in lines(answer, lambda: max(self.members.table.trust_seconds, SHORTEST_SILENCE)):
                if text == known:
                    self.members.heard()
                    continue
                try:
                    table = Table.read(json.loads(text))
                except ValueError as error:
                    raise LineBroken(str(error)) from error
                known, self._wait = text, FIRST_WAIT
                self.before()
                self.members.take(table)
        raise LineBroken("the hub closed it")


def keep_alive(answer: ClientResponse) -> None:
    """Have the kernel ask a silent hub whether it is still there."""
    connection = answer.connection
    socket = connection.transport.get_extra_info("socket") if connection and connection.transport else None
    if socket is None or socket.family == sockets.AF_UNIX:
        return
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(sockets, name):
            socket.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, name), value)


async def lines(answer: ClientResponse, patience: Callable[[], float]) -> AsyncIterator[bytes]:
    """The lines of an endless answer, empty ones left out.

    `patience` is the silence in seconds that is borne; raises LineBroken when it breaks off.
    """
    waiting = bytearray()
    while True:
        try:
            async with asyncio.timeout(patience()):
                piece = await answer.content.readany()
        except TimeoutError as error:
            raise LineBroken("it is silent") from error
        except (OSError, ClientError) as error:
            raise LineBroken(str(error) or type(error).__name__) from error
        if not piece:
            return
        waiting += piece
        while (end := waiting.find(b"\n")) >= 0:
            text = bytes(waiting[:end]).strip()
            del waiting[: end + 1]
            if text:
                yield text
        if len(waiting) > LONGEST:
            raise LineBroken("a table is too long")
