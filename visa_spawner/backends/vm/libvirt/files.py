"""What machines leave on the host beside libvirt's own description: disks, memory, consoles, QEMU's words."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

#: Bytes of a console that are looked at.
CONSOLE = 1 << 16
#: Where libvirt keeps what each QEMU said, for ever unless somebody removes it.
LOGS = Path("/var/log/libvirt/qemu")
#: Seconds for which a memory may be newer than what a list says of its machine.
FRESH = 60
#: A file of a machine's; libvirt's log daemon keeps earlier parts of a console as `.0` and on.
_OURS = re.compile(r"(visa-[a-z0-9-]+)\.(?:qcow2|memory(?:\.used)?|console(?:\.[0-9]+)?)")


def disk(folder: Path, name: str) -> Path:
    """The machine's own disk."""
    return folder / f"{name}.qcow2"


def console_log(folder: Path, name: str) -> Path:
    """What it says on its console, as the log daemon writes it."""
    return folder / f"{name}.console"


def memory(folder: Path, name: str) -> Path:
    """The memory of one that is suspended."""
    return folder / f"{name}.memory"


def memory_in_use(folder: Path, name: str) -> Path:
    """The same once it is being read back: good for nothing as soon as the machine runs."""
    return folder / f"{name}.memory.used"


def memories(folder: Path) -> dict[str, Path]:
    """The machines of which there is a memory, each with its file: one look, however many there are."""
    try:
        paths = [path for path in folder.iterdir() if ".memory" in path.name]
    except FileNotFoundError:
        return {}
    return {match[1]: path for path in sorted(paths, reverse=True) if (match := _OURS.fullmatch(path.name))}


def remove_memory(folder: Path, name: str) -> None:
    """Remove the memory of one that runs, unless it was written a moment ago."""
    for path in (memory(folder, name), memory_in_use(folder, name)):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > FRESH:
                path.unlink()


def console(folder: Path, name: str) -> bytes:
    """The end of that; a part that the daemon has put away a moment ago is read as well."""
    path = console_log(folder, name)
    newest = _tail(path)
    if len(newest) < CONSOLE:
        newest = _tail(path.with_name(f"{path.name}.0")) + newest
    return newest[-CONSOLE:]


def remove(folder: Path, name: str) -> None:
    """Remove a machine's files, its console's earlier parts with them; harmless when there are none."""
    for _, path in _found(folder, name):
        path.unlink(missing_ok=True)
    if re.fullmatch(r"visa-[a-z0-9-]+", name):
        for path in LOGS.glob(f"{name}.log*"):
            path.unlink(missing_ok=True)


def names(folder: Path) -> set[str]:
    """The machines of which there are files."""
    return {name for name, _ in _found(folder)}


def _found(folder: Path, wanted: str = "") -> list[tuple[str, Path]]:
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    found = [(match[1], path) for path in paths if (match := _OURS.fullmatch(path.name))]
    return [(name, path) for name, path in found if not wanted or name == wanted]


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - CONSOLE))
            return file.read(CONSOLE)
    except OSError:
        return b""
