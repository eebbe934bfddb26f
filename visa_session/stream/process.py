"""The process behind the stream: started for the first viewer, ended a minute after the last.

It is one of the session's processes like the VNC server, on the same display, as the account. A crash costs
the stream alone: its viewers are told and go on by VNC.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import sys
import time
from collections import deque

from ..desktop import RUNNING, Desktop
from ..live import LiveInfo
from . import settings
from .launch import HIDDEN
from .pace import Pace
from .settings import EXIT_NO_SCREEN, EXIT_RESIZED

log = logging.getLogger("visa")

LAUNCH = f"{__package__}.launch"

#: Seconds: for the desktop and then the stream to come up, for what is told to end, and without any viewer.
DESKTOP_LIMIT, START_LIMIT, END_LIMIT, LINGER = 30.0, 20.0, 2.0, 60.0
#: Bytes of addresses; a 4K screen takes a third of it.
MEMORY = 4 * 2**30
#: Bytes of what it said last that are kept, in memory alone: whoever watches can have it say more and more.
LAST_WORDS = 16 * 1024
#: So many failures within so many seconds, and it is not tried until the first is so old.
MOST_FAILURES, FAILURES_COUNT = 3, 600.0
#: Seconds within which its end is noticed where something holds its output open.
NOTICED = 0.5
#: Seconds between two looks whether the socket is there: it says so nowhere else.
LOOK_AGAIN = 0.05

#: What of the session's environment it is given: where the screen is, whose it is, and no secret.
GIVEN = (
    *("PATH", "LANG", "LD_LIBRARY_PATH", "DISPLAY", "XAUTHORITY"),
    *("JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME", "JUPYTERHUB_API_URL"),
    *("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
)


class StreamFailed(Exception):
    """There is no stream; the text is one sentence for the person who asked for it."""


class StreamProcess:
    """One session's stream, off at first. All of it belongs to the event loop.

    `ended` is set whenever it does not run, and `words` then say why.
    """

    def __init__(self, info: LiveInfo, desktop: Desktop):
        self.info, self.desktop = info, desktop
        self.directory = desktop.directory.parent / "stream"
        self.socket = self.directory / "socket"
        self.token = ""
        self.words = ""
        #: How it ended: the screen has another size, so that whoever watches may come again; or by a fault.
        self.resized = self.failed = False
        self.ended = asyncio.Event()
        self.ended.set()
        self._failures: deque[float] = deque(maxlen=MOST_FAILURES)
        self.pace = Pace(info.stream_rate, self._tell_pace)
        self._channel: socket.socket | None = None
        self._viewers = 0
        self._starting: asyncio.Task | None = None
        self._said = b""
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._stopping = False
        self._installed: bool | None = None

    def refusal(self) -> str:
        """Why there is no stream here, in a sentence; "" where there may be one."""
        if self.info.stream_rate <= 0:
            return "This session has no video stream: its profile or the facility turned it off."
        if self._installed is None:
            self._installed = settings.is_installed()
        if not self._installed:
            return "This environment has no video stream."
        if self._stopping:
            return "The session is ending."
        recent = [moment for moment in self._failures if time.monotonic() - moment < FAILURES_COUNT]
        if len(recent) >= MOST_FAILURES:
            return "The video stream has failed several times in this session."
        return ""

    @contextlib.asynccontextmanager
    async def watched(self):
        """While somebody watches: the stream is up, or StreamFailed is raised."""
        if refusal := self.refusal():
            raise StreamFailed(refusal)
        self._viewers += 1
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        try:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.create_task(self._come_up())
                self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
            # It comes up for all, also when the first of them has gone.
            await asyncio.shield(self._starting)
            yield
        finally:
            self._viewers -= 1
            if self._viewers == 0 and not self._stopping:
                self._lingering = asyncio.get_running_loop().call_later(LINGER, self._end)

    async def stop(self) -> None:
        """End it for good, and wait until it has ended."""
        self._stopping = True
        if self._lingering is not None:
            self._lingering.cancel()
        self._end(at_once=True)
        if self._watch is not None:
            await asyncio.wait([self._watch], timeout=2 * END_LIMIT)

    async def _come_up(self) -> None:
        if self._process is None or self._process.returncode is not None:
            await self.ended.wait()  # it is being ended, or has ended by itself: another follows
        if self.ended.is_set():
            await self._start()

    async def _start(self) -> None:
        self.desktop.start()
        await asyncio.to_thread(self.desktop.settled.wait, DESKTOP_LIMIT)
        if self.desktop.state != RUNNING:
            raise StreamFailed(self.desktop.words or "The desktop is not up yet.")
        if self._stopping:
            raise StreamFailed(self.refusal())
        nothing = self.directory / "nothing"
        nothing.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        (nothing / "index.html").touch()
        self.socket.unlink(missing_ok=True)
        self.token = secrets.token_urlsafe(32)
        self.words, self.resized, self.failed = "", False, False
        environment = {name: os.environ[name] for name in GIVEN if name in os.environ}
        environment |= {"HOME": str(nothing), "XDG_RUNTIME_DIR": str(self.directory), "TMPDIR": str(nothing)}
        options = settings.options(self.info, self.socket, nothing)
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", LAUNCH, *options),
                stdin=theirs,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
                cwd=nothing,
                start_new_session=True,
            )
            theirs.close()
            self.ended.clear()
            self._watch = asyncio.create_task(self._until_end(self._process))
            if self._stopping:
                self._end(at_once=True)
            try:
                async with asyncio.timeout(START_LIMIT):
                    await self._hand_over(self._channel)
                    while not self.socket.exists():  # noqa: ASYNC110 - nobody tells when a socket comes
                        if self.ended.is_set():
                            raise StreamFailed(self.words)
                        await asyncio.sleep(LOOK_AGAIN)
            except TimeoutError:
                self._failures.append(time.monotonic())
                self._end()
                await self.ended.wait()
                raise StreamFailed("The video stream did not come up.") from None

    async def _hand_over(self, channel: socket.socket) -> None:
        """Tell it the master token, once no other process of the account can read it there."""
        loop = asyncio.get_running_loop()
        channel.setblocking(False)
        told = {"token": self.token, "memory": MEMORY, "parent": os.getpid()}
        with contextlib.suppress(OSError):  # it has ended, as is seen elsewhere
            if await loop.sock_recv(channel, len(HIDDEN)) == HIDDEN:
                await loop.sock_sendall(channel, json.dumps(told).encode() + b"\n")

    def _tell_pace(self, rate: int) -> None:
        """Have no more pictures made than are shown in time."""
        if self._channel is not None and self.socket.exists():
            with contextlib.suppress(OSError):  # it has ended; another begins at its full rate
                self._channel.send(b"%d\n" % rate)

    async def _until_end(self, process: asyncio.subprocess.Process) -> None:
        listening = asyncio.create_task(self._listen(process.stdout))
        waiting = asyncio.create_task(process.wait())
        # What it had started may hold the pipe open, and asyncio then waits for that too.
        while process.returncode is None:
            await asyncio.wait([waiting], timeout=NOTICED)
        await asyncio.wait([listening], timeout=END_LIMIT)
        listening.cancel()
        waiting.cancel()
        code = process.returncode
        self.resized = code == EXIT_RESIZED
        if self._process is None or self._stopping:
            self.words = "The video stream has ended."
        elif self.resized:
            self.words = "The screen has another size."
        elif code == EXIT_NO_SCREEN or self.desktop.state != RUNNING:
            self.words = "The desktop has ended."
        else:
            self.failed = True
            self._failures.append(time.monotonic())
            self.words = "The video stream has failed."
            log.warning(
                "The video stream ended with %s; its last words:\n%s", code, "\n".join(self.last_lines())
            )
        self.token = ""
        self._channel.close()
        self.ended.set()

    async def _listen(self, output: asyncio.StreamReader) -> None:
        self._said = b""
        while part := await output.read(LAST_WORDS):
            self._said = (self._said + part)[-LAST_WORDS:]

    def _end(self, at_once: bool = False) -> None:
        """Tell it to end, and see to it."""
        process, self._process, self._lingering = self._process, None, None
        if process is None or process.returncode is not None:
            return

        def kill():
            with contextlib.suppress(ProcessLookupError):
                process.kill()

        if at_once:
            kill()
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        asyncio.get_running_loop().call_later(END_LIMIT, kill)

    def last_lines(self, count: int = 10) -> list[str]:
        """The end of what it has said."""
        return self._said.decode(errors="replace").splitlines()[-count:]
