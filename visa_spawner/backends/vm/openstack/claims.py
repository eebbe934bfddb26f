"""One-time claims: how a machine without an agent comes to the document that makes it its person's.

Each machine is made with a random claim in its user data. It shows that here once it is up, and waits; when
a session is handed over to it, it is given the document, once. What is kept of a claim stands in the
server's metadata (`Kept`): a hash, until when it may be shown first, and how far it has come. So a hub that
starts anew knows it, and the claim itself is good for nothing as soon as the document is on its way.

A claim is believed only from the address that the provider knows of its machine. Everything else is refused,
and told to the audit log.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..provider import NotTaken

#: How far a claim has come: never shown, shown in time and waiting, used.
ORDER = NEW, SHOWN, USED = "new", "shown", "used"
#: Seconds that one question is held, and for which a machine counts as waiting between two.
HOLD, BETWEEN = 25.0, 10.0
#: Seconds in which a refusal of the same kind from the same address is told once.
_SAME = 60.0
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
#: Why a claim was refused, for the audit log.
UNKNOWN = "there is no such claim"
AGAIN = "it has been used before"
LATE = "it was shown too late"
ELSEWHERE = "it came from another address than the machine's"


class Denied(Exception):
    """Nothing is given for this claim."""


class NotNow(Exception):
    """Whether something is given cannot be told at the moment: the machine asks again."""


@dataclass(frozen=True)
class Kept:
    """What the metadata of a server keep of its claim: nothing that anybody could use."""

    digest: str
    until: int
    state: str = NEW

    def text(self) -> str:
        """As one value."""
        return f"{self.digest} {self.until} {self.state}"

    @classmethod
    def read(cls, text: str) -> Kept | None:
        """None where it is no such thing."""
        words = text.split(" ")
        if len(words) != 3 or not words[1].isdigit() or words[2] not in ORDER:
            return None
        return cls(words[0], int(words[1]), words[2])


def whole(text: str) -> bool:
    """Whether this may be a claim, or a receipt: what `secrets.token_urlsafe(32)` makes."""
    return _FORM.fullmatch(text) is not None


def digest(claim: str) -> str:
    """By which a claim is known: it has 256 random bits, so that nothing leads back from this."""
    return hashlib.sha256(claim.encode()).hexdigest()


class Books(Protocol):
    """What the provider knows of machines and their claims."""

    async def find(self, digest: str) -> str | None:
        """The name of the machine with this claim; raises NotNow where nobody can tell."""

    def kept(self, name: str) -> Kept | None:
        """The claim of a machine, as its metadata have it now."""

    async def addresses(self, name: str) -> frozenset[str]:
        """The machine's fixed addresses of this moment; raises Silent, Refused."""

    async def mark(self, name: str, state: str) -> None:
        """Have the metadata say how far it has come; raises Silent, Refused."""


@dataclass
class _Desk:
    """Where one machine waits, or is being handed over."""

    address: str = ""
    seen: float = float("-inf")
    asking: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    #: It counts as used, or is about to, and its document is on the way: the machine may ask anew meanwhile.
    giving: bool = False
    #: The document with its receipt, until it is fetched.
    document: bytes | None = None
    receipt: str = ""
    answer: asyncio.Future | None = None


class Claims:
    """All claims of one hub; `refused` is told of what was refused: machine ("" unknown), address, why."""

    def __init__(self, books: Books, refused: Callable[[str, str, str], None]):
        self._books, self._refused = books, refused
        self._desks: dict[str, _Desk] = {}
        self._told: dict[tuple[str, str, str], float] = {}

    # The machine's side --------------------------------------------------------------------------
    async def show(self, claim: str, address: str) -> bytes | None:
        """A machine shows its claim: the document when there is one, None to ask again.

        Raises Denied, NotNow, and what the books raise.
        """
        name = await self._books.find(digest(claim)) if whole(claim) else None
        kept = self._books.kept(name) if name else None
        if name is None or kept is None:
            raise self._denied("", address, UNKNOWN)
        desk = self._desks.get(name)
        if kept.state == USED and not (desk and (desk.giving or desk.document)):
            raise self._denied(name, address, AGAIN)
        if kept.state == NEW and time.time() > kept.until:
            raise self._denied(name, address, LATE)
        if desk is None or desk.address != address:
            if address not in await self._books.addresses(name):
                raise self._denied(name, address, ELSEWHERE)
            desk = self._desks.setdefault(name, _Desk())
            desk.address = address
        if kept.state == NEW:
            await self._books.mark(name, SHOWN)
        return await self._wait(desk)

    async def _wait(self, desk: _Desk) -> bytes | None:
        desk.asking += 1
        try:
            async with asyncio.timeout(HOLD):
                await desk.woken.wait()
        except TimeoutError:
            desk.seen = time.monotonic()  # it asks again; one that has gone does not
        finally:
            desk.asking -= 1
        # Nothing is awaited from here on: of two that ask, one gets it.
        document, desk.document = desk.document, None
        return document

    def told(self, receipt: str, address: str, answer: Mapping[str, Any]) -> None:
        """A machine says how it went, with what it was given for that; raises Denied."""
        for name, desk in self._desks.items() if whole(receipt) else ():
            if desk.receipt and secrets.compare_digest(desk.receipt, digest(receipt)):
                if desk.address != address:
                    raise self._denied(name, address, ELSEWHERE)
                desk.receipt = ""
                if desk.answer is not None and not desk.answer.done():
                    desk.answer.set_result(dict(answer))
                return
        # No claim was shown: it may be the machine of a hub that has started anew since.
        raise Denied(UNKNOWN)

    def _denied(self, name: str, address: str, why: str) -> Denied:
        now = time.monotonic()
        self._told = {key: at for key, at in self._told.items() if now - at < _SAME}
        if (name, address, why) not in self._told:
            self._told[name, address, why] = now
            self._refused(name, address, why)
        return Denied(why)

    # The hub's side ------------------------------------------------------------------------------
    def waits(self, name: str) -> bool:
        """Whether a machine has shown its claim, and is there."""
        desk = self._desks.get(name)
        if desk is None or desk.document is not None:
            return False
        return desk.asking > 0 or time.monotonic() - desk.seen < BETWEEN

    async def give(
        self,
        name: str,
        document: bytes,
        seconds: float,
        prepare: Callable[[str], Awaitable[None]] | None = None,
    ) -> Mapping[str, Any]:
        """Give a machine that waits its document: what it says of that.

        `prepare` is awaited with its address, once that is found to be the machine's and before anything is
        given; what it raises is raised, and the claim stands. `document` is JSON. Raises NotTaken where it
        does not fetch it, or says nothing, in time; Silent or Refused where its claim could not be marked as
        used, and nothing was given.
        """
        desk = self._desks.get(name)
        if desk is None or not self.waits(name):
            raise NotTaken(f"{name}: it has not shown its claim")
        if desk.address not in await self._books.addresses(name):
            raise NotTaken(f"{name}: it has another address than when it showed its claim")
        if prepare is not None:
            await prepare(desk.address)
        # First: a hub that is killed from here on leaves a claim that nobody can use.
        desk.giving = True
        try:
            await self._books.mark(name, USED)
        finally:
            desk.giving = False
        receipt = secrets.token_urlsafe(32)
        desk.receipt, desk.answer = digest(receipt), asyncio.get_running_loop().create_future()
        desk.document = b'{"receipt": %s, "document": %s}' % (json.dumps(receipt).encode(), document)
        desk.woken.set()
        try:
            async with asyncio.timeout(seconds):
                return await desk.answer
        except TimeoutError:
            raise NotTaken(f"{name}: no answer within {seconds:g} s") from None
        finally:
            # Also of what was not fetched.
            desk.document = None
            self._desks.pop(name, None)

    def follow(self, names: set[str]) -> None:
        """Forget the machines that are no more."""
        for name in [name for name in self._desks if name not in names]:
            del self._desks[name]

    def close(self) -> None:
        """Let go of all that wait: they ask again, whoever answers then."""
        for desk in self._desks.values():
            desk.woken.set()
