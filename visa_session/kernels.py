"""Kernels whose own output does not reach the session's log, which staff may read without being let in."""

from __future__ import annotations

from subprocess import DEVNULL

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class SessionKernels(AsyncMappingKernelManager):
    """The stock manager; what a kernel's programs print besides to the notebook goes nowhere.

    IPython shows the output of `os.system` and of libraries in the notebook, and writes it once more to where
    the kernel itself was started. That is the session's content, and the log is not.
    """

    async def _async_start_kernel(self, **others):
        return await super()._async_start_kernel(**{"stdout": DEVNULL, "stderr": DEVNULL} | others)

    start_kernel = _async_start_kernel
