"""One container that waits: made, or found again by a restarted hub, and watched until it is taken."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker

from ...session import Image, WarmPair
from .. import images
from ..engine import Engine
from ..nodes import Node
from ..spec import reached_at
from ..usage import memory_in_use
from .spec import GUESS, WARM_LABEL, pair_of

if TYPE_CHECKING:
    from ..fleet import Fleet

#: What one says in its log once its server is imported.
SAYS = b"waiting for a person"
#: Seconds it has for that.
LONGEST = 120.0


class NotWaiting(Exception):
    """A container does not wait for anybody, or not any more; the text is for the operator."""


@dataclass(frozen=True)
class Kind:
    """What a pair's containers on a node are made from now: the image, and the engine's configuration."""

    pair: WarmPair
    image: Image
    body: dict[str, Any]

    @property
    def mark(self) -> str:
        """Equal for containers that are the same."""
        return self.body["Labels"][WARM_LABEL]


@dataclass(frozen=True)
class Waiting:
    """A container that waits, and is nobody's. `pid` is its first process, `process` a descriptor of it.

    `host` and `published` are where a server in it will be reached, `memory` the bytes it takes now.
    """

    name: str
    id: str
    node: str
    key: tuple[str, str]
    mark: str
    pid: int
    process: int
    image: Image
    host: str
    published: int
    memory: int
    since: float = field(default_factory=time.monotonic)

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have its end noticed at once, without asking anybody."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.process)
            call()

        loop.add_reader(self.process, ended)

    @property
    def is_nobodys(self) -> bool:
        """Whether it still waits, by the kernel's own word."""
        return is_nobodys(self.pid, self.id)

    def let_go(self) -> None:
        """Watch it no more."""
        asyncio.get_running_loop().remove_reader(self.process)
        os.close(self.process)


def is_nobodys(pid: int, container: str) -> bool:
    """Whether a container's first process is still root, as it is until it becomes a person's for good."""
    return uids_of(pid, container) == {0}


def uids_of(pid: int, container: str) -> set[int] | None:
    """Whom a container's first process is; None when it is gone, or its number another process's."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            mine = container in file.read()
        with open(f"/proc/{pid}/status") as file:
            line = next(line for line in file if line.startswith("Uid:"))
    except (OSError, StopIteration):
        return None
    return {int(word) for word in line.split()[1:]} if mine else None


async def made(fleet: Fleet, node: Node, kind: Kind, name: str) -> Waiting:
    """Make one, and return once it waits; raises EngineSilent, EngineRefused, NotWaiting.

    What it made is then the caller's to remove.
    """
    engine = fleet.engine(node.name)
    await engine.call(lambda client: client.create_container_from_config(kind.body, name))
    image = await images.with_packages(kind.image, fleet, engine, name)
    await engine.call(lambda client: client.start(name))
    try:
        async with asyncio.timeout(LONGEST):
            heard = await engine.call(lambda client: _hears(client, name))
    except TimeoutError:
        raise NotWaiting(f"it did not wait within {LONGEST:g} s") from None
    if not heard:
        log = await engine.call(lambda client: client.logs(name, tail=3))
        raise NotWaiting(f"it ended: {log.decode(errors='replace').strip()[-500:]}")
    return await seen(engine, node, name, image)


def _hears(client: docker.APIClient, name: str) -> bool:
    """Listen until it says that it waits; False when it has ended."""
    said = b""
    for part in client.logs(name, stream=True, follow=True):
        said = said[-len(SAYS) :] + part
        if SAYS in said:
            return True
    return False


async def seen(engine: Engine, node: Node, name: str, image: Image) -> Waiting:
    """One that waits, as the engine and the kernel see it; raises EngineSilent, EngineRefused, NotWaiting."""
    found = await engine.call(lambda client: client.inspect_container(name))
    pid, container = int(found["State"]["Pid"] or 0), found["Id"]
    if not found["State"]["Running"] or pid < 2:
        raise NotWaiting("it does not run")
    memory = await _memory_of(engine, name)
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotWaiting("it has ended") from None
    # After the descriptor is held, so that both are about one process.
    if not is_nobodys(pid, container):
        os.close(process)
        raise NotWaiting(f"its first process, {pid}, is not root's, or not on this machine")
    labels = found["Config"]["Labels"]
    host, published = reached_at(node, found)
    return Waiting(
        name, container, node.name, pair_of(labels), labels.get(WARM_LABEL, ""), pid, process, image, host,
        published, memory,
    )  # fmt: skip


async def _memory_of(engine: Engine, name: str) -> int:
    stats = await engine.call(lambda client: client.stats(name, stream=False, one_shot=True))
    try:
        return memory_in_use(stats) or GUESS
    except (KeyError, TypeError):
        return GUESS
