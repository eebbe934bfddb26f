"""Exports a person's directories to one machine alone, on the NFS server; reads JSON on standard input.

    {"do": "add", "machine": NAME, "address": A, "directories": [{"path", "read_only", "uid", "gid"}, ...]}
    {"do": "remove", "machine": NAME}
    {"do": "keep", "hub": ID, "machines": [NAME, ...]}

It writes one file a machine below /etc/exports.d, for when the server starts anew, and has the kernel follow.
Whoever asks from there is the person, whatever root of the machine says (`all_squash`). Only the standard
library, so that it may be put on a server alone; it needs to be root there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/exports.d")
_NAME = re.compile(r"visa-[a-z0-9-]{1,100}")
#: What stands for itself in that file.
_PLAIN = re.compile(r"[A-Za-z0-9/_.,+-]")
_LINE = re.compile(r"(\S+) ([0-9a-fA-F.:]+)\((\S+)\)")
#: What `exportfs -u` says of what is exported no more.
_NOT_THERE = "Could not find"
_LARGEST_ID = 2**32 - 2
#: Whoever may write one directory must not find its way from there to another: hence the costly check.
_WRITES = "rw,subtree_check"
_READS = "ro,subtree_check"


def line(address: str, directory: dict[str, Any]) -> str:
    """One line of the file; raises ValueError, KeyError, TypeError for what is no such thing."""
    path, uid, gid = directory["path"], directory["uid"], directory["gid"]
    parts = path.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]):
        raise ValueError("a path that is no plain place")
    if any(type(one) is not int or not 0 < one <= _LARGEST_ID for one in (uid, gid)):
        raise ValueError("an account that is the system's own")
    if type(directory["read_only"]) is not bool:
        raise TypeError("read_only is yes or no")
    escaped = "".join(one if _PLAIN.fullmatch(one) else _octal(one) for one in path)
    how = _READS if directory["read_only"] else _WRITES
    return f"{escaped} {ip_address(address)}({how},sync,secure,all_squash,anonuid={uid},anongid={gid})\n"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def file_of(machine: str, folder: Path = FOLDER) -> Path:
    """Where a machine's exports stand; raises ValueError for a name that is none of ours."""
    if not _NAME.fullmatch(machine):
        raise ValueError("a name that is no machine's")
    return folder / f"{machine}.exports"


def own(text: str) -> list[tuple[str, str, str]]:
    """Address, path and options of each line of such a file."""
    return [
        (found[2], _plain(found[1]), found[3]) for found in map(_LINE.fullmatch, text.splitlines()) if found
    ]


def _plain(escaped: str) -> str:
    raw = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped.encode())
    return os.fsdecode(raw)


def exportfs(*words: str) -> str:
    """What is wrong, "" where nothing is. Raises OSError where it cannot be run."""
    done = subprocess.run(
        ["exportfs", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    return "" if done.returncode == 0 else done.stderr.strip()[-300:] or f"exportfs: {done.returncode}"


def _place(address: str, path: str) -> str:
    return f"[{address}]:{path}" if ":" in address else f"{address}:{path}"


class Exports:
    """The files of one server's folder; `run` has the kernel follow, of each machine's own lines alone.

    What others have in their files may be wrong for years: `exportfs -ra` would fail for all of us with it.
    """

    def __init__(self, folder: Path = FOLDER, run: Callable[..., str] = exportfs):
        self.folder, self.run = folder, run

    def do(self, asked: dict[str, Any]) -> None:
        """Do what is asked. Raises as `line`, and OSError."""
        if asked["do"] == "add":
            text = "".join(line(asked["address"], one) for one in asked["directories"])
            self.add(file_of(asked["machine"], self.folder), str(ip_address(asked["address"])), text)
        elif asked["do"] == "remove":
            place = file_of(asked["machine"], self.folder)
            if not self.take_back(place):
                # Somebody has removed the file: what no file says any more is dropped by this, whatever it
                # says of lines that are others'.
                self.run("-ra")
        elif asked["do"] == "keep":
            self.keep(asked["hub"], {file_of(name, self.folder).stem for name in asked["machines"]})
        else:
            raise ValueError("nothing that is done here")

    def add(self, place: Path, address: str, text: str) -> None:
        """Export these lines and no others to a machine, and nothing that another has left at its address."""
        self.folder.mkdir(exist_ok=True)
        for file in [*self.folder.glob("visa-*.exports"), *self.folder.glob("visa-*.gone")]:
            other = file.with_suffix(".exports")
            addresses = {one for one, _, _ in own(file.read_text())} if file.exists() else set()
            if other == place or address in addresses:
                if other.stem[:-16] != place.stem[:-16]:
                    raise ValueError(f"{address} is that of {other.stem}, another hub's machine")
                self.take_back(other)
        new = place.with_suffix(".new")
        new.write_text(text)
        new.replace(place)
        for at, path, how in own(text):
            if wrong := self.run("-i", "-o", how, _place(at, path)):
                raise OSError(wrong)

    def take_back(self, place: Path) -> bool:
        """Export a machine's lines no more; False where none are known. Raises OSError, and is tried again.

        The lines are kept until the kernel has let go of all: whoever gets the address next sees nothing.
        """
        past = place.with_suffix(".gone")
        lines = [one for file in (past, place) if file.exists() for one in file.read_text().splitlines()]
        if not past.exists() and not place.exists():
            return False
        new = place.with_suffix(".new")
        new.write_text("".join(f"{one}\n" for one in lines))
        new.replace(past)
        place.unlink(missing_ok=True)
        for address, path, _ in own(past.read_text()):
            wrong = self.run("-u", _place(address, path))
            if wrong and _NOT_THERE not in wrong:
                raise OSError(wrong)
        past.unlink()
        return True

    def keep(self, hub: str, names: set[str]) -> None:
        """Export to no other machine of this hub's; one that fails holds up no other."""
        # Machines' names end with 16 hexadecimal digits.
        ours = re.compile(re.escape(f"visa-{hub}-") + r"[0-9a-f]{16}\.(exports|gone|new)")
        found = {one.stem for one in self.folder.glob("visa-*") if ours.fullmatch(one.name)}
        wrong = []
        for name in sorted(found - names):
            place = file_of(name, self.folder)
            try:
                self.take_back(place)
                place.with_suffix(".new").unlink(missing_ok=True)
            except OSError as error:
                wrong.append(str(error))
        if wrong:
            raise OSError("; ".join(wrong)[:500])


def main() -> int:
    """0 when it is done, else a sentence on standard error."""
    try:
        Exports().do(json.loads(sys.stdin.read(1 << 20)))
    except (ValueError, KeyError, TypeError, OSError) as error:
        print(f"visa-exports: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
