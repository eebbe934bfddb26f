"""Rounds of measurements, the sides in turn, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from . import desktop, launcher
from .bare import Bare
from .hub import BenchFailed, Hub, Session
from .memory import memory_of

#: Seconds a session is left alone before its memory is read.
IDLE = 5


@dataclass
class Figures:
    """What was measured: lists of one value a round, by figure and side (report.SIDES)."""

    values: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, figure: str, side: str, value: float) -> None:
        self.values[figure][side].append(value)


_numbers = itertools.count(1)


def _name() -> str:
    """A session's name that no other of this run has, so that nothing waits for the last one's end."""
    return f"bench{next(_numbers)}"


async def starts(figures: Figures, hubs: list[Hub], bare: Bare | None, rounds: int) -> None:
    """Starts of a JupyterLab session, and of the processes alone; the first round warms up."""
    alone = {"bare": bare} if bare else {}
    if bare and bare.network.own:
        alone |= {"own": bare.in_own_image(), "session": bare.session()}
    for number in range(rounds + 1):
        for hub in hubs[:: 1 if number % 2 else -1]:
            name = _name()
            session = await _started(hub, name)
            if number:
                figures.add("start", hub.kind, session.seconds)
                if hub.kind != "warm":  # its container was made long before
                    await _where_time_went(figures, hub, session)
            await hub.stop(name)
            await asyncio.sleep(1)
        for side, process in alone.items():
            seconds = await process.start()
            if number:
                figures.add("start", side, seconds)
        print(".", end="", flush=True)


async def _started(hub: Hub, name: str) -> Session:
    """A start; raises BenchFailed when one that should find a waiting container did not."""
    if hub.kind != "warm":
        return await hub.start(name)
    await hub.until_one_waits()
    before = await hub.found_waiting()
    session = await hub.start(name)
    if await hub.found_waiting() != before + 1:
        raise BenchFailed("a container waited, and the start made another")
    return session


async def launchers(figures: Figures, hub: Hub, bare: Bare, rounds: int) -> None:
    """From the click on Start to JupyterLab's launcher, and from starting the bare process by hand."""
    async with launcher.browser() as context:
        await desktop.log_in(context, hub.url, hub.user, hub.password)
        # Two rounds warm up: a browser keeps what it compiled at the second visit.
        for number in range(-1, rounds + 1):
            await hub.until_one_waits()
            before = await hub.found_waiting()
            seconds = await launcher.from_portal(context, hub)
            if await hub.found_waiting() != before + 1:
                raise BenchFailed("a container waited, and the click made another")
            alone = await launcher.from_bare(context, bare)
            if number > 0:
                figures.add("launcher", "warm", seconds)
                figures.add("launcher", "bare", alone)
            print(".", end="", flush=True)


async def _where_time_went(figures: Figures, hub: Hub, session: Session) -> None:
    container = await hub.container(session.name)
    figures.add(
        "the hub, before the engine has created the container", hub.kind, container.created - session.asked
    )
    figures.add(
        "the engine, until the container's process runs", hub.kind, container.started - container.created
    )
    figures.add(
        "the server, and the hub's word that it is ready", hub.kind, session.ready - container.started
    )


async def desktops(figures: Figures, hubs: list[Hub], rounds: int) -> None:
    """Clicks on the Desktop tile of new sessions, and the sessions' memory before and after."""
    async with desktop.browser() as context:
        for hub in hubs:
            await desktop.log_in(context, hub.url, hub.user, hub.password)
        for number in range(rounds + 1):
            for hub in hubs[:: 1 if number % 2 else -1]:
                session = await _started(hub, _name())
                await asyncio.sleep(IDLE)
                pid = (await hub.container(session.name)).pid
                off = memory_of(pid)
                page = await desktop.open_lab(context, session)
                painted = await desktop.click_to_paint(context, page)
                await asyncio.sleep(IDLE)
                if number:
                    figures.add("paint", hub.kind, painted.first)
                    figures.add("settled", hub.kind, painted.settled)
                    figures.add("memory off", hub.kind, off)
                    figures.add("memory on", hub.kind, memory_of(pid))
                await desktop.close_pages(context)
                await hub.stop(session.name)
                await asyncio.sleep(1)
            print(".", end="", flush=True)
