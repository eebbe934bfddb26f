"""A machine's own line to the host: a TAP device, with nobody else on it. What comes over it is a guest's.

It is there before the machine runs and while its memory is on disk, so that what serves its data, which holds
on to the device, is still reached when the machine goes on.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
from pathlib import Path

from ..provider import Refused

_PREFIX = "visa"
_NO_NETWORK = "The machine's network could not be made. Tell the facility's staff."
_NOT_REMOVED = "The machine's network could not be removed."
#: Where the kernel keeps what each device does.
NET = Path("/proc/sys/net")
#: Where it lists devices.
DEVICES = Path("/sys/class/net")
_OURS = re.compile(rf"{_PREFIX}([0-9a-f]{{8}})")
#: No IPv6, else one advertisement of the guest's gives the host addresses and a way through the guest; and no
#: packet in the name of another address than the machine's.
_KEPT = {
    "ipv6/conf/{device}/accept_ra": "0",
    "ipv6/conf/{device}/disable_ipv6": "1",
    "ipv4/conf/{device}/rp_filter": "1",
}


def device_of(address: str) -> str:
    """The host's end of a machine's line, by its address: a name of 15 letters at most. Raises Refused."""
    try:
        return f"{_PREFIX}{int(ipaddress.IPv4Address(address)):08x}"
    except ValueError:
        raise Refused(_NO_NETWORK, f"{address!r} is no address of a machine's") from None


def connect(gateway: str, address: str) -> None:
    """Have the line, with the host's address on it, and up; harmless when it is. Raises Refused."""
    device = device_of(address)
    try:
        if not (DEVICES / device).exists():
            _said("ip", "tuntap", "add", "dev", device, "mode", "tap")
        for name, value in _KEPT.items():
            place = NET / name.format(device=device)
            if place.exists() or not name.startswith("ipv6"):  # a kernel without IPv6 has none to turn off
                place.write_text(value)
        _said("ip", "address", "replace", f"{gateway}/32", "peer", f"{address}/32", "dev", device)
        _said("ip", "link", "set", device, "up")
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(_NO_NETWORK, getattr(error, "stderr", None) or str(error)) from error


def disconnect(address: str) -> None:
    """Take the line away; harmless when there is none. Raises Refused."""
    device = device_of(address)
    try:
        if (DEVICES / device).exists():
            _said("ip", "link", "delete", "dev", device)
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(_NOT_REMOVED, getattr(error, "stderr", None) or str(error)) from error


def addresses() -> set[str]:
    """The machines' addresses of all lines that are there, whosoever they are."""
    found = [_OURS.fullmatch(path.name) for path in DEVICES.iterdir()]
    return {str(ipaddress.IPv4Address(int(match[1], 16))) for match in found if match}


def _said(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
