"""Where the hub's service has its configuration, its environment and its directory, by systemd's word."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "visa-hub.service"
BESIDE = ("visa-portal.service", "visa-proxy.service")
_SHOWN = ("WorkingDirectory", "EnvironmentFiles", "ExecStart")


@dataclass(frozen=True)
class Unit:
    """What of a service a doctor needs; `config` is None where its command names no file."""

    config: Path | None
    environment: tuple[Path, ...]
    directory: Path | None


def installed(name: str = NAME) -> Unit | None:
    """The service as it is installed on this machine; None where there is none, or no systemd."""
    unit = read(_said(name))
    return unit if unit.config else None


def beside() -> tuple[Path, ...]:
    """The environment files of portal and proxy, where these are services of this machine."""
    return tuple(dict.fromkeys(path for name in BESIDE for path in read(_said(name)).environment))


def _said(name: str) -> str:
    command = ["systemctl", "show", name, *(f"--property={shown}" for shown in _SHOWN)]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def read(said: str) -> Unit:
    """What `systemctl show` tells of a unit."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        if value:
            found.setdefault(name, []).append(value)
    files = [re.sub(r" \(ignore_errors=(yes|no)\)$", "", one) for one in found.get("EnvironmentFiles", [])]
    directory = found.get("WorkingDirectory", [""])[0].lstrip("!-")
    return Unit(
        config=_config(" ".join(found.get("ExecStart", []))),
        environment=tuple(map(Path, files)),
        directory=Path(directory) if directory.startswith("/") else None,
    )


def _config(command: str) -> Path | None:
    match = re.search(r"argv\[\]=[^;]*?\s(?:-f|--config)[ =](\S+)", command)
    return Path(match[1]) if match else None
