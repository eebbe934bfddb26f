"""Asks the program that reaches into containers of this machine; one run of it a request."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...session import Bind
from ..asking import CannotRun, NoAnswer, Program, Said
from ..nodes import Node

log = logging.getLogger(__name__)

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
        self.timeout = timeout
        self._program = Program(command, timeout=timeout, at_once=at_once)

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
        try:
            # From when it is given up here it does not begin there either.
            said = await self._program.ask(lambda: asked | {"until": time.monotonic() + self.timeout})
        except CannotRun as error:
            raise HandsRefused(str(error)) from error
        except NoAnswer as error:
            raise HandsSilent(f"the program {error} ({do})") from error
        _judge(do, said)


def _mount(bind: Bind) -> dict[str, Any]:
    return {"source": bind.source, "target": bind.target, "read_only": bind.read_only}


def _judge(do: str, said: Said) -> None:
    if said.errors:
        log.warning("Reaching into a container (%s): %s", do, said.errors[-1000:])
    if said.answer is None:
        raise HandsSilent(f"the program broke off ({do})")
    if said.answer.get("done") is True:
        return
    if words := said.answer.get("refused"):
        raise HandsRefused(words)
    raise HandsSilent(said.answer.get("silent") or f"no answer ({do})")
