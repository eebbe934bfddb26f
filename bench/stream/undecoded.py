"""Both streams down a line to a client that decodes nothing, so that no browser's work is in it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from tests.visa_session.hubside import Session, later
from tests.visa_session.watcher import Watcher

from ..sharing.rfb import Client, Websocket
from ..sharing.stream import frame_rate
from .line import Line

#: Seconds that are watched.
WATCHED = 4.0


async def rate(line: Line, session: Session, way: str) -> float:
    """Pictures a second of what moves, by one of the two streams."""
    through = replace(session, site=replace(session.site, port=line.port))
    if way == "sharp":
        client = await later(lambda: Client(Websocket(f"{through.url}desktop/socket", session.token)))
        try:
            return await later(frame_rate, client, WATCHED)
        finally:
            client.close()
    watcher = await Watcher.connect(through)
    try:
        await watcher.sees(20)
        before, begun = watcher.pictures, time.perf_counter()
        while (left := begun + WATCHED - time.perf_counter()) > 0:
            try:
                await watcher.sees(1, left)
            except TimeoutError:
                break
        return (watcher.pictures - before) / (time.perf_counter() - begun)
    finally:
        watcher.close()
        await asyncio.sleep(0)
