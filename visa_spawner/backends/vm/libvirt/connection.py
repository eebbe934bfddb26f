"""A connection to libvirt, and what its errors mean; asked in threads of its own (`lane.py`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ..lane import Lane
from ..provider import Refused, Silent

T = TypeVar("T")


class Connection(Lane):
    """One connection and its threads; `timeout`: seconds a call may take, unless it says otherwise."""

    def __init__(self, uri: str, timeout: float = 20, threads: int = 4):
        super().__init__(uri, timeout, threads)
        self._lock = threading.Lock()
        self._connection: Any = None

    def drop(self) -> None:
        """Open anew for the next call: libvirt was away, and what was open then is dead."""
        with self._lock:
            self._connection = None

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        super().close()
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
                self._connection = libvirt.open(self.name)
            return self._connection

    def _meaning(self, error: Any) -> Exception:
        import libvirt

        code, text = error.get_error_code(), str(error)
        lost = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}
        # The same codes from QEMU's side are answers: a disk that is not there, a program that fails.
        if code == libvirt.VIR_ERR_NO_CONNECT or error.get_error_domain() in lost:
            self.drop()
            return Silent(f"{self.name}: {text}")
        if code == libvirt.VIR_ERR_NO_DOMAIN:
            return Refused("The machine is gone.", text, "gone")
        if code in (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_OPERATION_TIMEOUT):
            return Refused("The machine does not answer.", text, "agent")
        if code == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Refused("The machine is not one of VISA's.", text, "gone")
        return Refused("The host of the machines refused. Tell the facility's staff.", text)
