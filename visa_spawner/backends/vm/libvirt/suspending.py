"""Machines that stand still, their memory in a file, and go on where they were.

The line to the host stays meanwhile, and on it what serves the data, with its end of every connection. So the
guest's mounts, and all that its programs have open, are as they were when it goes on.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from ..provider import BY_HOST, Machine, NotTaken, Refused, Silent, Stands
from ..tags import ADDRESS, SESSION
from . import files, line, share
from .agent import Agent
from .states import FORGOTTEN, SAVED, SHUT_OFF, stands

#: Seconds that memory may take to disk, or back, and that a machine may take to hear what time it is then.
MOVING, CLOCK = 900, 20
_NO_SPACE = "There is no room to keep this session's memory. Stop it instead, or tell the facility's staff."
_NOT_READ = "What was in its memory cannot be read back. Tell the facility's staff."
_LET_GO = (
    "Its home and data were let go while it was suspended, as when its host is started anew, so it cannot go"
    " on. Stop it and start it again."
)


class Suspends:
    """Mixed into `LibvirtProvider`."""

    can_suspend = True

    async def suspend(self, name: str) -> None:
        """Not by `managedsave`: libvirt boots a machine anew whose memory, kept so, is cut off."""
        path = files.memory(Path(self.folder), name)

        def save(connection: Any) -> None:
            domain, _ = self._ours(connection, name)
            need = domain.maxMemory() * 1024 + self.free_disk
            try:
                free = shutil.disk_usage(self.folder).free
            except OSError as error:
                raise Refused(_NO_SPACE, str(error), "room") from error
            if free < need:
                raise Refused(_NO_SPACE, f"less than {need} bytes are free in {self.folder}", "room")
            self._at_memory.add(name)
            try:
                domain.saveFlags(str(path), None, 0)
            finally:
                self._at_memory.discard(name)

        await self._moves.call(save, MOVING)

    async def resume(self, name: str) -> None:
        """From that file, or not at all: a boot would be another session."""
        _, tags = await self._connection.call(lambda libvirt: self._ours(libvirt, name))
        served = await asyncio.to_thread(lambda: {one for _, one in share.serving(self.hub_id)})
        if tags.get(SESSION) and name not in served:
            raise Refused(_LET_GO, f"{name}: nothing serves its data", "data")
        await asyncio.to_thread(line.connect, self._gateway, tags.get(ADDRESS, ""))
        await self._moves.call(lambda libvirt: self._restore(libvirt, name), MOVING)
        await self._set_clock(name)

    def _restore(self, connection: Any, name: str) -> None:
        domain, _ = self._ours(connection, name)
        kept, used = (place(Path(self.folder), name) for place in (files.memory, files.memory_in_use))
        self._at_memory.add(name)
        try:
            if kept.exists() and not domain.isActive():
                kept.replace(used)  # or it could be read once more, beside a disk that has gone on
            connection.restoreFlags(str(used), None, 0)
            used.unlink()
        except OSError as error:
            raise Refused(_NOT_READ, str(error)) from error
        except Exception:
            if used.exists() and _is_off(domain):
                used.replace(kept)
            raise
        finally:
            self._at_memory.discard(name)

    async def _set_clock(self, name: str) -> None:
        """Tell the machine what time it is; one that does not hear has its clock late."""
        try:
            await Agent(self._agents, name).run("/bin/date", "--set", f"@{time.time():.3f}", seconds=CLOCK)
        except (NotTaken, Refused, Silent) as error:
            self.log.warning("%s was not told the time: %s", name, error)

    def _stands(self, domain: Any, state: int, reason: int, memories: Container[str]) -> tuple[Stands, str]:
        """How it stands; libvirt forgets that its memory is kept when it is started anew itself.

        What was being read back is its memory still, until it is seen to run: then it is nobody's any more.
        """
        how, why = stands(state, reason)
        name = domain.name()
        if state == SHUT_OFF and reason in (FORGOTTEN, SAVED):
            if name in memories:
                return Stands.SAVED, ""
            if reason == FORGOTTEN and domain.hasManagedSaveImage(0):
                return Stands.SAVED, BY_HOST
        elif how is Stands.RUNNING and name in memories and name not in self._at_memory:
            files.remove_memory(Path(self.folder), name)
        return how, why


def _is_off(domain: Any) -> bool:
    """Whether it does not run, by libvirt's word; False where there is none."""
    import libvirt

    try:
        return not domain.isActive()
    except libvirt.libvirtError:
        return False


def needs_data(machine: Machine) -> bool:
    """Whether it is to reach its data now, or when its owner has it go on."""
    return machine.stands is Stands.RUNNING or (machine.stands is Stands.SAVED and machine.why != BY_HOST)
