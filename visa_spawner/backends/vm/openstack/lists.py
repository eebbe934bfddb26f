"""What there is, by nova's lists: what a list has not is not gone for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence, Set
from typing import Any

from ..provider import Machine, Refused, Silent
from . import servers
from .claims import ORDER, Kept
from .states import GONE

#: Servers missing in a list that nova is asked for one by one, at each list.
VANISHED = 24
#: Where a server keeps what is known of its claim: beside its tags, which others write.
CLAIM = "visa-claim"


class Lists:
    """Mixed into `OpenStackProvider`."""

    async def list(self) -> list[Machine]:
        """All servers of the project that carry this hub's metadata, by one list."""
        self._listen()
        self._began = time.monotonic()
        self._under_way += 1
        try:
            return await self._list(self._began)
        finally:
            self._under_way -= 1

    async def _list(self, asked: float) -> list[Machine]:
        pages = await self._listing.call(lambda api: list(api.pages("compute", "/servers/detail", "servers")))
        listed = [server for page in pages for server in page]
        if len(pages) > 1 and self._as_of == float("-inf"):
            listed += await self._left_out({server["id"] for server in listed})
        known = {server["id"]: server for server in self._servers.values()}
        found = {}
        for server in listed:
            if "name" not in server:
                # Of a part of nova that does not answer: no more than that there is one.
                if server["id"] not in known:
                    raise Silent(f"nova cannot say what server {server['id']} is")
                server = known[server["id"]]
            if server.get("status") not in GONE and servers.tags_from(server, self.hub_id) is not None:
                found[server["name"]] = server
        there = {server["id"] for server in listed}
        found |= await self._still_there([one for id, one in known.items() if id not in there])
        # What was made or marked since this was asked for is newer.
        for name, server in found.items():
            self._keep_newer(server, self._servers.get(name))
        made = {name: one for name, one in self._servers.items() if one.get("made", 0) > asked}
        self._servers, self._as_of = made | found, asked
        self._claims.follow(set(self._servers))
        self._marking = {name: lock for name, lock in self._marking.items() if name in self._servers}
        return [servers.machine(one, self._tags(one)) for one in found.values()]

    async def _left_out(self, listed: Set[str]) -> list[dict[str, Any]]:
        """Servers that nova has left out of a first list, by the ports that neutron has of them.

        Beyond its first page, nova leaves out without a word what is in a cell without an answer, and nothing
        is known yet that could be missed.
        """
        ports = await self._listing.call(lambda api: list(api.each("network", "/ports", "ports")))
        owners = {one["device_id"] for one in ports if one["device_owner"].startswith("compute:")}
        answers = await asyncio.gather(*(self._by_itself(one) for one in sorted(owners - listed)))
        return [one for one in answers if one is not None]

    async def _by_itself(self, server: str) -> dict[str, Any] | None:
        """A server that nobody knows, None where it is gone; raises Silent where nova does not say so."""
        try:
            return await self._get(server)
        except Refused as error:
            if error.reason == "gone":
                return None
            raise Silent(f"nova does not say whether there is server {server}: {error}") from error

    async def _still_there(self, missing: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Of those that a list has not, all but the ones that are gone by nova's own word.

        Beyond its first page, nova leaves out without a word what is in a cell that does not answer.
        """
        asked, later = missing[:VANISHED], missing[VANISHED:]
        answers = await asyncio.gather(*(self._again(one) for one in asked))
        # Those asked come last, so that the next list begins with others.
        kept = {one["name"]: one for one in (*later, *filter(None, answers))}
        return {name: one for name, one in kept.items() if name in self._servers}

    async def _again(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """One server by itself; as it was known where nova cannot say, None where it is gone."""
        try:
            found = await self._get(known["id"])
        except (Silent, Refused) as error:
            return None if isinstance(error, Refused) and error.reason == "gone" else known
        if "name" not in found:
            return known
        ours = found.get("status") not in GONE and servers.tags_from(found, self.hub_id) is not None
        return found if ours else None

    def _tags(self, server: Mapping[str, Any]) -> dict[str, str]:
        return servers.tags_from(server, self.hub_id) or {}

    @staticmethod
    def _keep_newer(server: dict[str, Any], known: Mapping[str, Any] | None) -> None:
        before, now = (Kept.read((one or {}).get("metadata", {}).get(CLAIM, "")) for one in (known, server))
        if before and now and ORDER.index(before.state) > ORDER.index(now.state):
            server["metadata"][CLAIM] = before.text()
