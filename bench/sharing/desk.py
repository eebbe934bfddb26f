"""A session's desktop as the figures use it: its VNC server, seen from outside, and what is shown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from images.engine import podman_environment
from visa_session.rfb import FILE_KEY

from ..hub import BenchFailed, Container

SCENE = Path(__file__).with_name("scene.py").read_text()


@dataclass(frozen=True)
class Desk:
    """Where a container's VNC server is reached from this machine, and as which account things run there."""

    container: Container
    socket: str
    passwords: tuple[str, str]
    uid: int
    gid: int
    environment: dict[str, str]


def _descendants(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _option(server: psutil.Process, name: str) -> str:
    command = server.cmdline()
    return command[command.index(name) + 1]


def _passwords(path: Path) -> tuple[str, str]:
    """For full control, and to watch: a VNC password file is no secret from root."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in FILE_KEY)
    decryptor = Cipher(TripleDES(key * 3), modes.ECB()).decryptor()
    text = decryptor.update(path.read_bytes()) + decryptor.finalize()
    return text[:8].rstrip(b"\0").decode(), text[8:16].rstrip(b"\0").decode()


async def find(container: Container) -> Desk:
    """The desktop of a container, once its window manager runs; raises BenchFailed when it does not come."""
    for _ in range(300):
        processes = {process.name(): process for process in _descendants(container.pid)}
        server = processes.get("Xtigervnc") or processes.get("Xvnc")
        if server and "xfwm4" in processes:
            manager = processes["xfwm4"].environ()
            root = Path(f"/proc/{server.pid}/root")
            return Desk(
                container,
                f"{root}{_option(server, '-rfbunixpath')}",
                _passwords(root / _option(server, "-rfbauth").lstrip("/")),
                server.uids().real,
                server.gids().real,
                {name: manager[name] for name in ("DISPLAY", "XAUTHORITY")},
            )
        await asyncio.sleep(0.1)
    raise BenchFailed("the session's desktop did not come up")


class Scene:
    """What `scene.py` shows on a desktop's screen."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process

    async def said(self) -> str:
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        if not line:
            raise BenchFailed("the scene on the session's screen has ended")
        return line.decode().strip()

    async def tell(self, command: str) -> None:
        self._process.stdin.write(command.encode() + b"\n")
        if await self.said() != command:
            raise BenchFailed(f"the scene did not {command}")
        await asyncio.sleep(0.5)


@asynccontextmanager
async def scene(desk: Desk) -> AsyncIterator[Scene]:
    """Show the scene, in the session's own container and as its account, until the end."""
    settings = [f"--env={name}={value}" for name, value in desk.environment.items()]
    process = await asyncio.create_subprocess_exec(
        "podman",
        "exec",
        "--interactive",
        f"--user={desk.uid}:{desk.gid}",
        *settings,
        desk.container.id,
        "/opt/visa/venv/bin/python",
        "-c",
        SCENE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **podman_environment()},
    )
    shown = Scene(process)
    try:
        if not (await shown.said()).startswith("ready"):
            raise BenchFailed("the scene did not appear")
        await asyncio.sleep(1)
        yield shown
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)
