"""Sessions in containers, on the nodes of a fleet: one container a start, on Docker or Podman.

DockerSpawner shares one client and one thread for everything and asks the engine about each server by
itself. Here each node has its own, one watch a node answers for all its sessions, and a container is made
from a session's plan alone: no image, volume or setting comes from `user_options`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from dockerspawner import DockerSpawner
from traitlets import Unicode, default, observe

from ..session import State, Status, Usage
from . import usage, words
from .container_data import ChangesData
from .engine import EngineRefused, EngineSilent
from .making import Making
from .refusals import StopDelayed
from .spec import address_at, reached_at
from .watch import Watch

#: After that a node does not answer, of a session that nobody ends.
_RUNS_ON = ", so nobody can tell how this session stands. What runs there runs on."


class ContainerBackend(ChangesData, Making, DockerSpawner):
    """One session in one container."""

    #: A container names its session, and the sweep leaves those that have not claimed theirs yet.
    found_at_once = False

    session_key = Unicode()

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._stepped = asyncio.Event()
        self._reset()

    def _reset(self) -> None:
        self._final: Status | None = None
        self._code = 0
        self._memory = 0
        self._host, self._published = "", 0
        self._log_lines: list[str] = []
        self._stopping = self._stop_wanted = False
        self._stopping_since = datetime.now(UTC)
        self._known_since = time.monotonic()
        self._settling: asyncio.Task | None = None
        self._standing: Status | None = None
        #: Whether it was paused at the last look; None before there was one.
        self._was_paused: bool | None = None
        self._meter = usage.Meter()
        self._reset_start()

    # What DockerSpawner would derive from its own settings is derived from the plan here.
    @default("object_name")
    def _object_name_default(self):
        return ""

    @observe("image")
    def _image_changed(self, change):
        pass

    def docker(self, method: str, *args, **kwargs) -> asyncio.Future:
        """Ask this session's engine, by docker-py's method; raises EngineSilent, EngineRefused."""
        return self.fleet.engine(self.node_name).begin(
            lambda client: getattr(client, method)(*args, **kwargs)
        )

    # What is kept across restarts of the hub ---------------------------------------------------------
    def get_state(self) -> dict:
        """What finds the container again; empty when there is none."""
        if not self.object_name:
            return {}
        return {
            "container": self.object_name,
            "node": self.node_name,
            "key": self.session_key,
            "memory": self._memory,
            "host": self._host,
            "published": self._published,
            "half": self._half,
        }

    def load_state(self, state: dict) -> None:
        """Answer again for a container that an earlier hub process made."""
        self._reset()
        self.object_name = state.get("container", "")
        if not self.object_name:
            return
        self.node_name, self.session_key = state.get("node", ""), state.get("key", "")
        self._memory = int(state.get("memory", 0))
        self._host, self._published = state.get("host", ""), int(state.get("published", 0))
        self._half = bool(state.get("half"))
        self.fleet.claim(self.object_name, self.node_name, self.session_key, self)

    def clear_state(self) -> None:
        """Forget the container; one that is still there becomes the fleet's to remove."""
        self._undo()

    # Watching ----------------------------------------------------------------------------------------
    @property
    def _watch(self) -> Watch | None:
        return self.fleet.watches.get(self.node_name)

    def _gone_or_ended(self) -> bool:
        """Whether the engine has said, since this backend knows the container, that it does not run."""
        watch = self._watch
        if watch is None or not watch.answering or watch.as_of <= self._known_since:
            return False
        seen = watch.seen.get(self.object_name)
        return seen is None or not seen.alive

    @property
    def _is_paused(self) -> bool:
        """Whether somebody has its processes stand still, by `podman pause` or its like."""
        watch = self._watch
        seen = watch.seen.get(self.object_name) if watch else None
        return seen is not None and seen.paused

    @property
    def status(self) -> Status | None:
        """What the node's watch last said."""
        if self._final is not None:
            return self._final
        if self._starting:
            return self._steps[-1] if self._steps else None
        if not self.object_name:
            return None
        watch = self._watch
        if watch is None or not watch.answering:
            since = watch.since if watch else self._stopping_since
            late = "; the session will be ended when it does." if self._stop_wanted else _RUNS_ON
            return Status(State.UNKNOWN, f"Node {self.node_name} does not answer{late}", since)
        if self._stop_wanted:
            return Status(State.STOPPING, "Stopping", self._stopping_since)
        paused = self._is_paused
        if self._standing is None or self._standing.held is not paused:
            running = Status(State.RUNNING, f"Running on {self.node_name}.")
            self._standing = words.paused() if paused else running
        return self._standing

    def noticed(self, watch: Watch) -> None:
        """The watch has looked again: if this session has ended, find out how and clear up."""
        busy = self._starting or self._stopping or self._final is not None or self._settling is not None
        if not self.object_name or busy or not watch.answering:
            return
        if self._half:
            self._settling = self.fleet.keep(self._settle_half())
        elif self._gone_or_ended():
            self._settling = self.fleet.keep(self._settle())
        elif self._was_paused is not self._is_paused:
            self._was_paused = self._is_paused
            self.looked()

    def may_have_ended(self) -> bool:
        """Whether the watch has said so, or has not looked since this backend knows the container."""
        if self._final is not None or not self.object_name or self._settling is not None or self._half:
            return True
        watch = self._watch
        return watch is None or watch.as_of <= self._known_since or self._gone_or_ended()

    async def poll(self) -> int | None:
        """None while the session runs or nobody can tell; its exit code once the engine said so."""
        if self._final is not None:
            return self._code
        if not self.object_name:
            return 0
        if self._starting or self._stopping:
            return None
        self.fleet.start()
        watch = self._watch
        if watch is not None:
            if watch.as_of <= self._known_since:
                await watch.fresh()
            self.noticed(watch)
        if self._settling is not None:
            await asyncio.wait([self._settling])
        return None if self._final is None else self._code

    async def ended(self) -> Status:
        """Wait until the engine has said that the session's process has ended."""
        while True:
            if self._final is not None:
                return self._final
            self.fleet.start()
            watch = self._watch
            if self._settling is not None:
                await asyncio.wait([self._settling])
            elif watch is None or self._starting:
                await asyncio.sleep(0.1)
            elif self.reported_port:
                await watch.next_turn()
            else:
                # Nobody waits longer for a session that died at its start than for one that lives.
                with watch.hurried():
                    await watch.next_turn()

    async def _settle(self, found: dict | None = None) -> None:
        """Learn how the session ended, keep the end of its log, remove the container."""
        name = self.object_name
        try:
            if found is None:
                found = await self.docker("inspect_container", name)
            if found["State"]["Running"]:
                self._settling = None
                return
            self._log_lines = words.clean_lines(await self.docker("logs", name, tail=40), 40)
            status, code = words.how_it_ended(
                found["State"], memory=self._memory, started=bool(self.reported_port)
            )
        except (EngineRefused, EngineSilent) as error:
            if getattr(error, "status", None) != 404:
                self.log.warning("How %s ended is not known yet: %s", name, error)
                self._settling = None
                return
            status, code = (words.STOPPED, 0) if self._stop_wanted else (words.REMOVED, 1)
        self._final, self._code = status, code
        self.log.info("Session %s ended on node %s: %s", self.session_key, self.node_name, status.words)
        self._undo()
        if self._undoing is not None:
            await asyncio.shield(self._undoing)

    async def address(self) -> str | None:
        """Where the session's server is reached now; None while that cannot be told."""
        if not self.reported_port or not self.object_name:
            return None
        if not self._host:
            try:
                found = await self.docker("inspect_container", self.object_name)
            except (EngineSilent, EngineRefused):
                return None
            self._host, self._published = reached_at(self.fleet.by_name[self.node_name], found)
        return address_at(self._host, self._published or self.reported_port)

    async def last_lines(self, count: int = 40) -> list[str]:
        """The end of the session's log: the container's, or what was kept of it."""
        if self.object_name and self._final is None:
            try:
                return words.clean_lines(await self.docker("logs", self.object_name, tail=count), count)
            except (EngineSilent, EngineRefused):
                return []
        return self._log_lines[-count:] if count > 0 else []

    async def usage(self) -> Usage | None:
        """What the container takes now; one question at most every few seconds, whoever asks."""
        if not self.object_name or self._final is not None or self._starting:
            return None
        faults = (EngineSilent, EngineRefused, KeyError, TypeError)
        return await self._meter.read(self._taken, self._memory, faults)

    async def _taken(self) -> usage.Reading:
        return usage.of_container(await self.docker("stats", self.object_name, stream=False, one_shot=True))

    # Stop --------------------------------------------------------------------------------------------
    async def stop(self, now: bool = False) -> None:
        """End and remove the container; harmless when there is none.

        Raises StopDelayed when the node does not answer: the container is then removed when it does.
        """
        for task in (self._undoing, self._settling):
            if task is not None:
                await asyncio.wait([task])
        if not self.object_name:
            return
        self._stopping = self._stop_wanted = True
        self._stopping_since = datetime.now(UTC)
        try:
            await self.fleet.dispose(
                self.node_name, self.object_name, grace=0 if now else self.stop_grace, after=self._making
            )
        except (EngineSilent, EngineRefused) as error:
            raise StopDelayed(
                f"Node {self.node_name} does not answer; the session will be ended when it does."
            ) from error
        finally:
            self._stopping = False
        self._final, self._code = words.STOPPED, 0
        self.object_name = self.object_id = ""
