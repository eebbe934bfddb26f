"""Machines that nova says it runs: a network namespace with the port's address, and a guest's program."""

import base64
import json
import subprocess
import sys
from pathlib import Path

from tests.openstack_cloud.cloud import GATEWAY

PROGRAM = Path(__file__).with_name("guest_program.py")
BRIDGE = "visaos0"


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Guests:
    """All of them, on one bridge, where this machine has the network's first address."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._running: dict[str, subprocess.Popen] = {}
        self._spaces: dict[str, str] = {}
        # Of a run that was killed.
        for left in Path("/run/netns").glob("visaos-*"):
            ip("netns", "delete", left.name)
        if Path("/sys/class/net", BRIDGE).exists():
            ip("link", "delete", BRIDGE)
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")

    def space(self, address: str) -> str:
        """A network namespace that has this address."""
        if address not in self._spaces:
            self._count += 1
            name, line = f"visaos-{self._count}", f"vos{self._count}"
            ip("netns", "add", name)
            self._spaces[address] = name
            ip("link", "add", line, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", line, "master", BRIDGE, "up")
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        return self._spaces[address]

    def boot(self, server: dict, address: str = "", user_data: bytes = b"") -> Path:
        """Begin a server's guest, as nova describes it: where it leaves what it was handed.

        At another address than its own, or with other user data, for those that are not what they say.
        """
        (network,) = server["addresses"].values()
        space = self.space(address or network[0]["addr"])
        self._count += 1
        folder = self._folder / str(self._count)  # short, since a socket stands below it
        # Its own names, since the session gives the machine one.
        command = [
            "ip",
            "netns",
            "exec",
            space,
            "unshare",
            "--uts",
            sys.executable,
            str(PROGRAM),
            str(folder),
        ]
        guest = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        guest.stdin.write(user_data or base64.b64decode(server["OS-EXT-SRV-ATTR:user_data"]))
        guest.stdin.close()
        self._running[str(folder)] = guest
        return folder

    def kill(self, folder: Path) -> None:
        """End one."""
        guest = self._running.pop(str(folder))
        guest.kill()
        guest.wait()

    def clear(self) -> None:
        """End all of them."""
        for folder in list(self._running):
            self.kill(Path(folder))

    def close(self) -> None:
        """End all, and take the network away."""
        self.clear()
        for name in self._spaces.values():
            ip("netns", "delete", name)
        ip("link", "delete", BRIDGE)


def said(folder: Path, what: str = "answer") -> dict | None:
    """What a guest left; None as long as there is nothing."""
    try:
        return json.loads((folder / f"{what}.json").read_text())
    except (OSError, ValueError):
        return None
