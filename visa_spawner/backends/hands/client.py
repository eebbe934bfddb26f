"""Asks the program that reaches into containers of this machine; one run of it a request."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...session import Bind
from ..nodes import Node

log = logging.getLogger(__name__)

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
#: Where this package is imported from: after the standard library, which alone the program uses otherwise.
_TREE = str(Path(__file__).resolve().parents[3])
_RUN = (
    "import sys; sys.path.append(sys.argv[1]); from visa_spawner.backends.hands.program import main; main()"
)
_COMMAND = (sys.executable, "-I", "-S", "-c", _RUN, _TREE)


class HandsRefused(Exception):
    """Nothing was changed, or it is as it was again; the words are for the operator's log."""


class HandsSilent(Exception):
    """No answer: what was asked may have happened, or may still happen."""


def possible_on(node: Node) -> bool:
    """Whether containers of a node can be reached into: on the hub's own machine, by a hub that is root."""
    return node.is_local and os.geteuid() == 0


class Hands:
    """Reaches into running containers of the hub's own machine.

    `pid` is the container's first process and `container` its whole id, both by the engine's inspection; a
    number that has passed to another process is refused. Every call raises HandsRefused, and
    HandsSilent, after which `unbind` sets things right, however far it came. One that is cancelled is gone
    through with.
    `timeout`, in seconds, is for each; at most `at_once` are under way.
    """

    def __init__(self, *, timeout: float = 20.0, at_once: int = 8, command: Sequence[str] = _COMMAND):
        self.timeout, self.command = timeout, tuple(command)
        self._room = asyncio.Semaphore(at_once)
        #: Kept: the event loop alone would let go of them.
        self._tasks: set[asyncio.Task] = set()

    async def bind(
        self,
        pid: int,
        binds: Sequence[Bind],
        links: Mapping[str, str],
        *,
        container: str,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Mount directories, outer ones first, and make links to them; all or nothing.

        `texts` are small files to write anew, by their place, that root alone may change.
        """
        mounts = [_mount(bind) for bind in binds]
        await self._ask("bind", pid, container, mounts=mounts, links=dict(links), texts=dict(texts or {}))

    async def unbind(
        self,
        pid: int,
        targets: Iterable[str],
        links: Iterable[str],
        *,
        container: str,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Take mounts and links away; harmless where there are none.

        What a process has open there stays open to it until it closes it.
        """
        gone = {"targets": list(targets), "unlinked": list(links)}
        await self._ask("unbind", pid, container, **gone, texts=dict(texts or {}))

    async def hand_over(
        self, pid: int, binds: Sequence[Bind], hostname: str, document: Mapping[str, Any], *, container: str
    ) -> None:
        """Make a waiting container somebody's: its mounts, its host name ("": as it is), then the document.

        Returns once the container has said that it took it. HandsSilent here means that it may have.
        """
        mounts = [_mount(bind) for bind in binds]
        await self._ask(
            "hand_over", pid, container, mounts=mounts, hostname=hostname, document=dict(document)
        )

    async def _ask(self, do: str, pid: int, container: str, **values: Any) -> None:
        asked = {"do": do, "pid": pid, "container": container, **values}
        task = asyncio.ensure_future(self._run(do, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that nobody waits for any more may fail unheard.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    async def _run(self, do: str, asked: dict[str, Any]) -> None:
        async with self._room:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=_ENVIRONMENT,
                    cwd="/",
                    # Not of the hub's own group: whoever stops that one leaves it to its end.
                    start_new_session=True,
                )
            except OSError as error:
                raise HandsRefused(f"{self.command[0]} cannot be run: {error.strerror}") from error
            # From when it is given up here it does not begin there either.
            request = json.dumps(asked | {"until": time.monotonic() + self.timeout}).encode()
            exchange = asyncio.ensure_future(process.communicate(request))
            self._tasks.add(exchange)
            exchange.add_done_callback(self._tasks.discard)
            exchange.add_done_callback(lambda done: done.cancelled() or done.exception())
            # Left to its end when it is late: half of it is worse than all.
            done, _ = await asyncio.wait({exchange}, timeout=self.timeout)
        if not done or exchange.exception():
            raise HandsSilent(f"no answer in {self.timeout:g} seconds ({do})")
        _judge(do, *exchange.result())


def _mount(bind: Bind) -> dict[str, Any]:
    return {"source": bind.source, "target": bind.target, "read_only": bind.read_only}


def _judge(do: str, output: bytes, errors: bytes) -> None:
    said = errors.decode("utf-8", "replace").strip()[-1000:]
    if said:
        log.warning("Reaching into a container (%s): %s", do, said)
    try:
        answer = json.loads(output)
    except ValueError:
        raise HandsSilent(f"the program broke off ({do})") from None
    if answer.get("done") is True:
        return
    if words := answer.get("refused"):
        raise HandsRefused(words)
    raise HandsSilent(answer.get("silent") or f"no answer ({do})")
