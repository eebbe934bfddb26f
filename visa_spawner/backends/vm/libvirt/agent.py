"""Words with a guest's agent, by libvirt. Whatever it says is a guest's: it may be wrong, late, or a lie.

So nothing of it is believed that could harm anybody but the guest's own session, and nothing is waited for
longer than is said.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

from ..provider import NotTaken, Refused, Silent
from .connection import Connection

#: What speaks for a session in a guest.
PROGRAM = "/opt/visa/venv/bin/visa-session"
#: Seconds for one answer, and between two looks at a command that runs.
ANSWER, LOOK = 10, 0.3
#: Bytes of what a command said that are looked at.
LARGEST = 1 << 16


class Agent:
    """The agent of one domain."""

    def __init__(self, connection: Connection, name: str):
        self._connection, self._name = connection, name

    async def ask(self, what: str, **arguments: Any) -> Any:
        """One question; raises Silent for libvirt, and Refused (`agent`) where the guest gives no answer."""
        import libvirt_qemu

        words = json.dumps({"execute": what, "arguments": arguments} if arguments else {"execute": what})

        def ask(libvirt: Any) -> str:
            return libvirt_qemu.qemuAgentCommand(libvirt.lookupByName(self._name), words, ANSWER, 0)

        text = await self._connection.call(ask, ANSWER + 5)
        try:
            return json.loads(text)["return"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refused(
                "The machine does not answer.", f"{self._name}: no agent's answer", "agent"
            ) from None

    async def run(self, *command: str, given: bytes = b"", seconds: float = 60) -> tuple[int, bytes]:
        """Run a command as root in the guest, with this on its standard input: exit code, and what it said.

        Raises as `ask`, and NotTaken when it does not end in time.
        """
        arguments: dict[str, Any] = {"path": command[0], "arg": list(command[1:]), "capture-output": True}
        if given:
            arguments["input-data"] = base64.b64encode(given).decode()
        begun = await self.ask("guest-exec", **arguments)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                done = await self.ask("guest-exec-status", pid=_number(begun, "pid"))
            except Silent:  # of libvirt's: the command runs on, and its end can be asked for later
                done = None
            if isinstance(done, dict) and done.get("exited") is True:
                try:
                    said = base64.b64decode(str(done.get("out-data") or "")[: 2 * LARGEST])[:LARGEST]
                except ValueError:
                    said = b""
                return _number(done, "exitcode") if "exitcode" in done else -1, said
            await asyncio.sleep(LOOK)
        raise NotTaken(f"{self._name}: {command[0]} did not end within {seconds:g} s")

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            await self.ask("guest-ping")
        except Refused:
            return False
        except Silent:
            raise
        return True


def memory_in_use(meminfo: bytes) -> int | None:
    """Bytes that a guest's kernel could not give to others, by its /proc/meminfo; None where that is none."""
    lines = (line.partition(b":") for line in meminfo.splitlines())
    found = {name: words.split()[0] for name, _, words in lines if words.split()}
    try:
        total, free = (int(found[name]) for name in (b"MemTotal", b"MemAvailable"))
    except (KeyError, ValueError):
        return None
    return (total - free) * 1024 if 0 <= free <= total < 1 << 40 else None


def _number(values: Any, name: str) -> int:
    value = values.get(name) if isinstance(values, dict) else None
    if type(value) is not int:
        raise Refused("The machine does not answer.", f"the agent gave no {name}", "agent")
    return value
