"""POST to ready of a session in a machine, booted for it and taken from the pool, beside the boot by hand."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ..hub import BenchFailed, Hub
from ..rounds import Figures
from . import by_hand
from .host import HUB_ID, Host, hub

#: What the hub's log says of a machine of the pool that is up, and seconds that may take.
WAITS, PATIENCE = "waits for a session", 600
#: Seconds that one is left alone before it is taken, as those of a pool mostly were.
SETTLED = 10
#: Figures by the words with which the next part of a start begins. Of the first ten seconds the hub tells
#: when they are over, so no earlier part is told apart.
STEPS = {
    "Handing the machine over": "the hub, libvirt, and the boot until a session waits in the machine",
    "ready": "the hand-over, and the server's first answer",
}


def steps(asked: float, heard: list[tuple[float, str]], ready: float) -> dict[str, float]:
    """Seconds of each part of a cold start, by the progress that the hub told."""
    found, since = {}, asked
    for words, figure in STEPS.items():
        at = ready if words == "ready" else next((at for at, said in heard if words in said), None)
        if at is not None:
            found[figure] = at - since
            since = at
    return found


async def _start(one: Hub, name: str):
    session = await one.start(name)
    return session, by_hand.cpu_of(_qemu())


def _qemu() -> int:
    """The process of the one machine that there is."""
    (pid,) = [int(place.name) for place in Path("/proc").glob("[0-9]*") if _is_ours(place)]
    return pid


def _is_ours(place: Path) -> bool:
    try:
        return f"guest=visa-{HUB_ID}-".encode() in (place / "cmdline").read_bytes()
    except OSError:
        return False


async def _until_it_waits(log: Path, times: int) -> None:
    end = time.monotonic() + PATIENCE
    while log.read_text(errors="replace").count(WAITS) < times:
        if time.monotonic() > end:
            raise BenchFailed("no machine of the pool comes up")
        await asyncio.sleep(0.5)
    await asyncio.sleep(SETTLED)


async def take(figures: Figures, host: Host, rounds: int) -> None:
    """Rounds of boots by hand and by the hub in turn, then as many from the pool. None warms up.

    Before the first the disk has been read once, as any host's in use was.
    """
    await asyncio.to_thread(host.image.read_bytes)
    async with hub(host, "cold", pool=0) as one:
        for number in range(rounds):
            for side in ("hand", "cold")[:: 1 if number % 2 else -1]:
                if side == "hand":
                    seconds, cpu = await asyncio.to_thread(by_hand.start, host)
                else:
                    session, cpu = await _start(one, f"cold{number}")
                    seconds = session.seconds
                    for figure, part in steps(session.asked, one.heard, session.ready).items():
                        figures.add(figure, "cold", part)
                    await one.stop(f"cold{number}")
                figures.add("start", side, seconds)
                figures.add("cpu", side, cpu)
                print(".", end="", flush=True)
    async with hub(host, "pooled", pool=1) as one:
        for number in range(rounds):
            await _until_it_waits(host.folder / "pooled/hub.log", number + 1)
            waiting = _qemu()
            session, _ = await _start(one, f"pooled{number}")
            if _qemu() != waiting:
                raise BenchFailed("a machine waited, and the start made another")
            figures.add("start", "pooled", session.seconds)
            await one.stop(f"pooled{number}")
            print(".", end="", flush=True)
