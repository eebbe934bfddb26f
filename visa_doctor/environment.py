"""The service's environment, from the files that its systemd unit names with `EnvironmentFile=`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def read_environment(path: Path) -> dict[str, str]:
    """The variables of a file, as systemd reads it; raises OSError, and ValueError with the line's number."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{path}, line {number}: not NAME=VALUE")
        found[match[1]] = _unquoted(match[2].strip(), f"{path}, line {number}")
    return found


def _unquoted(value: str, where: str) -> str:
    if not value or value[0] not in "'\"":
        return value
    try:
        return "".join(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
