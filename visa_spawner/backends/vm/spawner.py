"""Sessions in virtual machines: one machine a start, booted from the image's own disk, one person's once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from jupyterhub.spawner import Spawner
from traitlets import Unicode

from ...session import State, Status, Usage
from ..refusals import StopDelayed
from ..spec import address_at
from ..usage import Meter
from ..words import NEVER_STARTED, STOPPED, clean_lines
from . import tags, words
from .data import ChangesData
from .provider import Machine, Refused, Silent, Stands
from .suspending import Suspending

#: Seconds between two questions to a machine whether it still waits, after a restart amid its hand-over.
HALF = 15.0


class VMSpawner(ChangesData, Suspending, Spawner):
    """One session in one machine."""

    #: What finds the machine; empty where there is none.
    machine_name = Unicode()
    session_key = Unicode()

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._reset()

    def _reset(self) -> None:
        self.machine_name = ""
        self._final: Status | None = None
        self._code = self._memory = 0
        self._log_lines: list[str] = []
        self._stopping = self._stop_wanted = False
        self._since = datetime.now(UTC)
        self._known_since = time.monotonic()
        self._settling: asyncio.Task | None = None
        self._said: Status | None = None
        self._asked = -HALF
        self._meter = Meter()
        self._reset_start()
        self._reset_moves()
        self._reset_data()

    # What is kept across restarts of the hub ---------------------------------------------------------
    def get_state(self) -> dict:
        """What finds the machine again; empty when there is none."""
        if not self.machine_name:
            return {}
        return {
            "machine": self.machine_name,
            "key": self.session_key,
            "memory": self._memory,
            "half": self._half,
        }

    def load_state(self, state: dict) -> None:
        """Answer again for a machine that an earlier hub process made, or was about to."""
        self._reset()
        self.machine_name = state.get("machine", "")
        if not self.machine_name:
            return
        self.session_key, self._memory = state.get("key", ""), int(state.get("memory", 0))
        self._half = bool(state.get("half"))
        self.machines.claim(self.machine_name, self.session_key, self)

    def clear_state(self) -> None:
        """Forget the machine; one that is still there is removed."""
        self._undo()

    # Watching ----------------------------------------------------------------------------------------
    @property
    def _machine(self) -> Machine | None:
        return self.machines.watch.seen.get(self.machine_name)

    @property
    def _known(self) -> bool:
        """Whether the provider has answered since this backend knows the machine."""
        watch = self.machines.watch
        return bool(watch.answering) and watch.as_of > self._known_since

    def _gone_or_ended(self) -> bool:
        found = self._machine
        return self._known and (found is None or found.stands is Stands.ENDED)

    @property
    def node_name(self) -> str:
        """The host of the machine, for staff."""
        found = self._machine if self.machine_name else None
        return found.tags.get(tags.HOST, "") if found else ""

    @property
    def status(self) -> Status | None:
        """What the watch last said."""
        if self._final is not None:
            return self._final
        if self._starting:
            return self._steps[-1] if self._steps else None
        if not self.machine_name:
            return None
        watch = self.machines.watch
        if not watch.answering:
            return words.unknown(watch.since, self._stop_wanted)
        if self._stop_wanted:
            return Status(State.STOPPING, "Stopping", self._since)
        if self._moving is not None:
            return self._moving
        said = words.RUNNING
        if not self._half and self._known:
            said = words.of_machine(self._machine, self._since)
        if self._said is None or (self._said.state, self._said.words) != (said.state, said.words):
            if said is words.UNREACHED:
                self.log.error(
                    "%s: nothing serves the data of %s any more", self.session_key, self.machine_name
                )
            self._said = replace(said, since=datetime.now(UTC))
        return self._said

    def noticed(self) -> None:
        """The watch has looked again: if this session has ended, find out how and clear up."""
        busy = self._starting or self._stopping or self._final is not None or self._settling is not None
        if not self.machine_name or busy or not self._known:
            return
        if self._half and not self._gone_or_ended():
            if self.reported_port:
                self._half = False
                self.remember()
            else:
                self._settling = self.machines.keep(self._settle_half())
        elif self._gone_or_ended():
            self._settling = self.machines.keep(self._settle())
        else:
            self.looked()

    def may_have_ended(self) -> bool:
        """Whether the watch has said so, or has not looked since this backend knows the machine."""
        if self._final is not None or not self.machine_name or self._settling is not None or self._half:
            return True
        return not self._known or self._gone_or_ended()

    async def poll(self) -> int | None:
        """None while the session runs or nobody can tell; its exit code once the provider said so."""
        if self._final is not None:
            return self._code
        if not self.machine_name:
            return 0
        if self._starting or self._stopping:
            return None
        watch = self.machines.watch
        if watch.as_of <= self._known_since:
            await watch.fresh()
        self.noticed()
        if self._settling is not None:
            await asyncio.wait([self._settling])
        return None if self._final is None else self._code

    async def ended(self) -> Status:
        """Wait until the provider has said that the machine has ended."""
        while self._final is None:
            watch = self.machines.watch
            if self._settling is not None:
                await asyncio.wait([self._settling])
            elif self._starting:
                await asyncio.sleep(0.1)
            elif self.reported_port:
                await watch.next_turn()
            else:
                with watch.hurried():
                    await watch.next_turn()
        return self._final

    async def _settle(self) -> None:
        """Learn how the session ended, keep the end of its console, remove the machine."""
        found = self._machine
        try:
            status, code = words.REMOVED, 1
            if found is not None:
                console = await self._keep_log()
                started = bool(self.reported_port)
                status, code = words.how_it_ended(found, console, memory=self._memory, started=started)
            if self._half:
                status, code = NEVER_STARTED, 1
            if self._stop_wanted:
                status, code = STOPPED, 0
        except (Silent, Refused) as error:
            self.log.warning("How %s ended is not known yet: %s", self.machine_name, error)
            self._settling = None
            return
        await self._end(status, code)

    async def _settle_half(self) -> None:
        """After a restart in the midst of a hand-over: the machine is the session's, or nobody's any more.

        What still waits was not handed over, and what was to be is lost with the hub that had it. What does
        not wait may be the session's, which then says so by itself; or it never came up, and the start's own
        limit ends it.
        """
        found = self._machine
        try:
            nobodys = found is not None and tags.waits(found.tags)
            if not nobodys and (
                self._asked_lately() or not await self.machines.make.waits(self.machine_name)
            ):
                self._settling = None
                return
        except (Silent, Refused):
            self._settling = None
            return
        if nobodys:  # it waits on, for somebody else
            self.machines.claims.pop(self.machine_name, None)
            self.machine_name = ""
        await self._end(NEVER_STARTED, 1)

    def _asked_lately(self) -> bool:
        """Whether the machine was asked a moment ago; if not, it is now."""
        lately = time.monotonic() - self._asked < HALF
        self._asked = self._asked if lately else time.monotonic()
        return lately

    async def _end(self, status: Status, code: int) -> None:
        self._final, self._code = status, code
        self.log.info("Session %s ended: %s", self.session_key, status.words)
        self._undo()
        if self._undoing is not None:
            await asyncio.shield(self._undoing)

    async def _keep_log(self) -> bytes:
        """The end of the console, kept for when the machine is gone."""
        try:
            console = await self.machines.make.console(self.machine_name) if self.machine_name else b""
        except (Silent, Refused):
            return b""
        self._log_lines = clean_lines(console, 40)
        return console

    async def address(self) -> str | None:
        """Where the session's server is reached now, by the provider's word; None while it has none."""
        if not self.reported_port or not self.machine_name:
            return None
        watch = self.machines.watch
        if watch.as_of <= self._known_since:
            await watch.fresh()
        found = self._machine
        return address_at(found.address, self.reported_port) if found else None

    async def last_lines(self, count: int = 40) -> list[str]:
        """The end of the machine's console, or what was kept of it."""
        if self.machine_name and self._final is None:
            try:
                return clean_lines(await self.machines.make.console(self.machine_name), count)
            except (Silent, Refused):
                return []
        return self._log_lines[-count:] if count > 0 else []

    async def usage(self) -> Usage | None:
        """What the machine takes now, once it is the session's and runs; of its memory, by its own word."""
        found = self._machine if self.machine_name and self._final is None else None
        if self._starting or self._half or found is None or found.stands is not Stands.RUNNING:
            return None
        look = partial(self.machines.make.usage, self.machine_name)
        return await self._meter.read(look, self._memory, (Silent, Refused))

    # Stop --------------------------------------------------------------------------------------------
    async def stop(self, now: bool = False) -> None:
        """End and remove the machine, its session first where there is time; harmless when there is none.

        Raises StopDelayed when the provider does not answer: the machine is then removed when it does.
        """
        for task in (self._undoing, self._settling):
            if task is not None:
                await asyncio.wait([task])
        if not self.machine_name:
            return
        self._stopping = self._stop_wanted = True
        self._since = datetime.now(UTC)
        found = self._machine
        still = self._moving is not None or (found is not None and found.stands is Stands.SAVED)
        grace = 0 if now or self._half or still else self.machines.stop_grace
        try:
            # A call under way could else make it anew from what is removed.
            after = self._move_task if self._moving is not None else self._making
            await self.machines.dispose(self.machine_name, grace=grace, after=after)
        except (Silent, Refused) as error:
            raise StopDelayed(f"{words.SILENT} The session will be ended when it does.") from error
        finally:
            self._stopping = False
        self._final, self._code = STOPPED, 0
        self.machine_name = ""
