"""A thin line on one machine: a relay that passes so many bits a second, so late, and nothing when pulled.

What waits before the line waits where it came from, as in a router with a short queue: the relay reads no
further ahead than what it passes. All connections share the line, piece by piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

#: Bytes that pass at once: at 1 Mbit/s, 16 ms of it.
PIECE = 8192
#: Bytes of the queue before the line.
QUEUE = 64 * 1024


@dataclass
class _Way:
    """One direction: bytes a second, and when it is free again."""

    rate: float
    passed: int = 0
    free: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Line:
    """To a server on this machine: `megabits` a second each way, `trip` seconds there and back."""

    def __init__(self, port: int, megabits: float, trip: float):
        self.target = port
        self.down, self.up = _Way(0), _Way(0)
        self.shape(megabits, trip)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task] = set()
        self.port = 0

    @property
    def passed(self) -> int:
        """Bytes that have come down the line."""
        return self.down.passed

    def shape(self, megabits: float, trip: float) -> None:
        """Be such a line from now on."""
        self.delay = trip / 2
        self.down.rate = self.up.rate = megabits * 1e6 / 8

    def pull(self) -> None:
        """Nothing passes any more; nobody is told."""
        self._open.clear()

    def give_back(self) -> None:
        """All passes again, what waited first."""
        self._open.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        there, back = socket.socket(), None
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        try:
            there.connect(("127.0.0.1", self.target))  # nearby: it takes no time
            far, back = await asyncio.open_connection(sock=there, limit=PIECE)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, back, self.up))
                both.create_task(self._pass(far, writer, self.down))
        except* OSError:
            pass
        finally:
            writer.close()
            (back or there).close()
            self._tasks.discard(asyncio.current_task())

    async def _pass(self, reader, writer, way: _Way) -> None:
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arrive = asyncio.create_task(self._arrive(late, writer))
        loop = asyncio.get_running_loop()
        try:
            while piece := await reader.read(PIECE):
                async with way.turn:
                    await self._open.wait()
                    way.free = max(way.free, loop.time()) + len(piece) / way.rate
                    if (wait := way.free - loop.time()) > 0:
                        await asyncio.sleep(wait)
                    way.passed += len(piece)
                late.put_nowait((loop.time() + self.delay, piece))
            late.put_nowait((loop.time() + self.delay, b""))
            await arrive
        finally:
            arrive.cancel()

    async def _arrive(self, late: asyncio.Queue, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            when, piece = await late.get()
            if (wait := when - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not piece:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            if writer.is_closing():
                return
            writer.write(piece)


@contextlib.asynccontextmanager
async def line(port: int, megabits: float, trip: float) -> AsyncIterator[Line]:
    """A line to a port of this machine, at a port of its own."""
    made = Line(port, megabits, trip)
    server = await asyncio.start_server(made._connected, "127.0.0.1", 0, limit=PIECE)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(made._tasks):
            task.cancel()
        await asyncio.gather(*made._tasks, return_exceptions=True)
