"""What a process prints, read to its end or given up: nobody ever waits for one that hangs."""

from __future__ import annotations

import asyncio
import contextlib

#: Those that were given up, until they are gone.
_given_up: set[asyncio.Task] = set()


async def read_all(process: asyncio.subprocess.Process, limit: float) -> tuple[bytes, bytes]:
    """All of a process's output and errors; raises TimeoutError after `limit` seconds, when it is killed.

    It is killed as well when whoever asked is cancelled.
    """
    exchange = asyncio.ensure_future(process.communicate())
    try:
        await asyncio.wait({exchange}, timeout=limit)
        if not exchange.done():
            raise TimeoutError
        return exchange.result()
    finally:
        if not exchange.done():
            _give_up(process, exchange)


def give_up(process: asyncio.subprocess.Process) -> None:
    """Kill a process that nobody reads from any more."""
    _give_up(process, asyncio.ensure_future(process.communicate()))


def _give_up(process: asyncio.subprocess.Process, exchange: asyncio.Task) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    # Read on, but not waited for: Python does not take a process for ended while there is something to read,
    # and one that the kernel holds does not end at all.
    _given_up.add(exchange)
    exchange.add_done_callback(_forget)


def _forget(exchange: asyncio.Task) -> None:
    _given_up.discard(exchange)
    if not exchange.cancelled():
        exchange.exception()
