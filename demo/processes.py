"""Keeps the demo's processes running, as a service manager would: started in order, restarted when one
dies, stopped together."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """Runs in the child before its program: nothing outlives the demo, even if that is killed."""
    libc.prctl(PR_SET_PDEATHSIG, signum)


@dataclass
class Part:
    """One process of the site.

    `ready` returns once it answers; `grace` is how many seconds it has to stop by itself, `when_orphaned` the
    signal that it gets when the demo is killed. It is not started again while the file `held` is there.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    ready: Callable[[], Awaitable[None]]
    grace: float = 10
    when_orphaned: int = signal.SIGTERM
    held: Path | None = None
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)


class Supervisor:
    """Runs the parts; their output goes to `logs/NAME.log`, their process ids to `pids/NAME`."""

    def __init__(self, folder: Path, parts: list[Part]):
        self.parts = parts
        self.logs, self.pids = folder / "logs", folder / "pids"
        for place in (self.logs, self.pids):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keepers: list[asyncio.Task] = []
        self._stopping = False

    async def start(self, ready_timeout: float = 90) -> None:
        """Start every part in order.

        Raises RuntimeError, with the end of the part's log, when one does not come up in time.
        """
        for part in self.parts:
            await self._launch(part)
            try:
                await self._until_ready(part, ready_timeout)
            except (TimeoutError, RuntimeError) as error:
                raise RuntimeError(f"{part.name} did not start: {error}\n{self.log_end(part)}") from error
            self._keepers.append(asyncio.create_task(self._keep(part)))

    async def stop(self, only: str = "") -> None:
        """Stop every part, the last one first, or one of that name; none is started again from now on.

        Kills what does not end by itself.
        """
        self._stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        for part in reversed(self.parts):
            process = part.process
            if process is None or process.returncode is not None or only not in ("", part.name):
                continue
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), part.grace)
            except TimeoutError:
                process.kill()
                await process.wait()
            (self.pids / part.name).unlink(missing_ok=True)

    def log_end(self, part: Part, lines: int = 25) -> str:
        path = self.logs / f"{part.name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    async def _launch(self, part: Part) -> None:
        with open(
            os.open(self.logs / f"{part.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab"
        ) as log:
            part.process = await asyncio.create_subprocess_exec(
                *part.command,
                env=part.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, part.when_orphaned),
                start_new_session=True,
            )
        # Whole or not at all, for whoever reads it at this moment.
        new = self.pids / f".{part.name}"
        new.write_text(str(part.process.pid))
        new.replace(self.pids / part.name)

    async def _until_ready(self, part: Part, timeout: float) -> None:
        ready = asyncio.create_task(part.ready())
        ended = asyncio.create_task(part.process.wait())
        done, waiting = await asyncio.wait(
            {ready, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()
        if ready in done:
            return ready.result()
        if ended in done:
            raise RuntimeError(f"it ended with code {ended.result()}")
        raise TimeoutError(f"no answer in {timeout:.0f} s")

    async def _until_let_go(self, part: Part) -> None:
        while part.held and part.held.exists():  # noqa: ASYNC110 - a file, which whoever likes removes
            await asyncio.sleep(0.1)

    async def _keep(self, part: Part) -> None:
        while not self._stopping:
            await part.process.wait()
            if self._stopping:
                return
            code = part.process.returncode
            print(f"{time.strftime('%H:%M:%S')}  {part.name} ended ({code}); starting it again", flush=True)
            await self._until_let_go(part)
            await self._launch(part)
            try:
                await self._until_ready(part, 60)
            except (TimeoutError, RuntimeError, OSError) as error:
                print(f"{time.strftime('%H:%M:%S')}  {part.name} is not ready: {error}", flush=True)
                await asyncio.sleep(1)
