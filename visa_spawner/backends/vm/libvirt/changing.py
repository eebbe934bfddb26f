"""More data in a machine that is a session's, or fewer: by what serves it, and a program in the guest.

The share enforces it: what it does not serve the guest does not have, whatever root there says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from visa_session.contract import EXIT_BAD_INFO
from visa_session.machine import Mount

from ....session import Bind
from ..provider import NotTaken, Refused
from . import reaching, share
from .agent import PROGRAM, Agent

#: Seconds that the guest's program may take.
_PATIENCE = 60


def mounts_of(server: str, served: reaching.Served, binds: Sequence[Bind]) -> list[dict[str, Any]]:
    """What the guest is told to mount."""
    return [
        asdict(
            Mount(server, served.port, share.export_of(bind.target), bind.target, bind.read_only, served.uid)
        )
        for bind in binds
    ]


class _Unknown(Refused):
    """The image in the guest is of an earlier version, which did nothing."""


class ChangesData:
    """Mixed into `LibvirtProvider`."""

    can_change_data = True

    async def add_data(
        self, name: str, binds: Sequence[Bind], links: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Served first; what the guest refuses is not served any more."""
        served = await self._served(name)
        await reaching.change(self.hub_id, name, binds)
        try:
            mounts = mounts_of(self._gateway, served, binds)
            await self._change(name, mounts=mounts, links=dict(links), texts=dict(texts))
        except Refused:
            await reaching.change(self.hub_id, name, gone=[bind.target for bind in binds])
            raise

    async def remove_data(
        self, name: str, targets: Sequence[str], links: Sequence[str], texts: Mapping[str, str]
    ) -> None:
        """By the guest first, so that nothing hangs; whatever it did, it is then not served any more."""
        await self._served(name)
        try:
            await self._change(name, gone=list(targets), unlinked=list(links), texts=dict(texts))
        except _Unknown as error:
            self.log.warning("%s: what is taken away stays there as empty places: %s", name, error)
        finally:
            await reaching.change(self.hub_id, name, gone=targets)

    async def _served(self, name: str) -> reaching.Served:
        """What serves the machine, if it is ours."""
        await self._connection.call(lambda libvirt: self._ours(libvirt, name))
        return await asyncio.to_thread(reaching.served, self.hub_id, name)

    async def _change(self, name: str, **asked: Any) -> None:
        document = {"mounts": [], "links": {}, "texts": {}, "gone": [], "unlinked": []} | asked
        given = json.dumps(document).encode()
        code, said = await Agent(self._agents, name).run(
            PROGRAM, "--change-data", given=given, seconds=_PATIENCE
        )
        if code == 0:
            return
        words = said.decode(errors="replace")[-500:]
        if code == EXIT_BAD_INFO:
            raise _Unknown(reaching.CANNOT, f"{name}: its image cannot change its data yet", "earlier")
        if '"refused"' not in words:
            # Not what that program says: it was cut off, and may have done anything.
            raise NotTaken(f"{name} did not change its data: {words}")
        raise Refused(reaching.CANNOT, f"{name}: {words}", "data")
