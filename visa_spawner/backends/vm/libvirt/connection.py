"""Libvirt, asked from a few threads of our own: nothing of it ever holds up the hub's loop.

Its calls have no limit of their own. One that takes too long is left to end by itself. While all threads are
busy, what else is asked waits for one, within its own time: then that is silence, which is not dead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..provider import Refused, Silent

T = TypeVar("T")


class Connection:
    """One connection and its threads; `timeout`: seconds a call may take, unless it says otherwise."""

    def __init__(self, uri: str, timeout: float = 20, threads: int = 4):
        self.uri, self._timeout = uri, timeout
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="libvirt")
        self._lock = threading.Lock()
        self._connection: Any = None
        self._free = asyncio.Semaphore(threads)

    async def call(self, ask: Callable[[Any], T], timeout: float | None = None) -> T:
        """Ask something of the open connection, in a thread; raises Silent, Refused.

        To wait for a thread counts. A call once begun runs to its end, also when the asker is cancelled.
        """
        seconds = timeout or self._timeout
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
                work = asyncio.wrap_future(self._threads.submit(self._ask, ask))
                work.add_done_callback(self._done)
                return await asyncio.shield(work)
        except TimeoutError:
            raise Silent(f"{self.uri}: no answer within {seconds:g} s") from None

    def _done(self, work: asyncio.Future) -> None:
        self._free.release()
        if not work.cancelled():
            work.exception()

    def drop(self) -> None:
        """Open anew for the next call: libvirt was away, and what was open then is dead."""
        with self._lock:
            self._connection = None

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connection = None

    def _ask(self, ask: Callable[[Any], T]) -> T:
        import libvirt

        try:
            return ask(self._open())
        except libvirt.libvirtError as error:
            raise self._meaning(error) from error

    def _open(self) -> Any:
        import libvirt

        with self._lock:
            if self._connection is None:
                # Otherwise it writes each error to the hub's log by itself.
                libvirt.registerErrorHandler(lambda *_: None, None)
                self._connection = libvirt.open(self.uri)
            return self._connection

    def _meaning(self, error: Any) -> Exception:
        import libvirt

        code, text = error.get_error_code(), str(error)
        lost = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}
        # The same codes from QEMU's side are answers: a disk that is not there, a program that fails.
        if code == libvirt.VIR_ERR_NO_CONNECT or error.get_error_domain() in lost:
            self.drop()
            return Silent(f"{self.uri}: {text}")
        if code == libvirt.VIR_ERR_NO_DOMAIN:
            return Refused("The machine is gone.", text, "gone")
        if code in (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_OPERATION_TIMEOUT):
            return Refused("The machine does not answer.", text, "agent")
        if code == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Refused("The machine is not one of VISA's.", text, "gone")
        return Refused("The host of the machines refused. Tell the facility's staff.", text)
