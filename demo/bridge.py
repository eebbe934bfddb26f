"""Holds the bridge of podman's network, with one hardware address, as long as the demo runs.

A Linux bridge takes the lowest hardware address among its ports, so that it changes as containers come and
go; one that knew the old address hears nothing for about 11 s. An address that was set stays, but netavark
removes the bridge with its last container. A port of the demo's own keeps it, and lets the hub listen on
the bridge alone before there is any session.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from images.engine import podman_environment

from .site import Site

#: Locally administered, of no meaning: "visa" and a number.
ADDRESS = "02:76:69:73:61:01"


@contextmanager
def held(site: Site) -> Iterator[None]:
    """Keep the bridge while inside; what a killed demo left is taken over.

    Raises RuntimeError with what `podman` or `ip` said, or when podman's network is another than sessions
    are told of.
    """
    bridge, gateway = _described()
    if not gateway.startswith(f"{site.bridge}/"):
        raise RuntimeError(f"podman's own network has the address {gateway}, and not {site.bridge}")
    port = f"visa{site.port}"
    ports = Path("/sys/class/net", bridge, "brif")
    try:
        if not ports.exists():
            _run("ip", "link", "add", bridge, "address", ADDRESS, "type", "bridge")
            _run("ip", "address", "add", gateway, "broadcast", "+", "dev", bridge)
        else:
            _run("ip", "link", "set", bridge, "address", (ports.parent / "address").read_text().strip())
        if not Path("/sys/class/net", port).exists():
            _run("ip", "link", "add", port, "type", "veth", "peer", "name", f"{port}-end")
        _run("ip", "link", "set", port, "master", bridge)
        _run("ip", "link", "set", bridge, "up")
        yield
    finally:
        release(site)


def release(site: Site) -> None:
    """Take the demo's port away, and the bridge where no container is on it."""
    port = Path("/sys/class/net", f"visa{site.port}")
    if not port.exists():
        return
    bridge = (port / "master").resolve()
    _run("ip", "link", "delete", port.name)
    if (bridge / "brif").exists() and not any((bridge / "brif").iterdir()):
        _run("ip", "link", "delete", bridge.name)


def _described() -> tuple[str, str]:
    """Name of the bridge of podman's own network, and this machine's address there with its prefix."""
    text = _run("podman", "network", "inspect", "podman")
    network = json.loads(text)[0]
    subnet = network["subnets"][0]
    return network["network_interface"], f"{subnet['gateway']}/{ip_network(subnet['subnet']).prefixlen}"


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=podman_environment())
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
