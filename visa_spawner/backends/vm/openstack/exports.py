"""Exports a person's directories to one machine alone, on the NFS server; reads JSON on standard input.

    {"do": "add", "machine": NAME, "address": A, "directories": [{"path", "read_only", "uid", "gid"}, ...]}
    {"do": "remove", "machine": NAME}
    {"do": "keep", "hub": ID, "machines": [NAME, ...]}

It writes one file a machine below /etc/exports.d and has the kernel follow. Whoever asks from there is the
person, whatever root of the machine says (`all_squash`). Only the standard library, so that it may be put on
a server alone; it needs to be root there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/exports.d")
_NAME = re.compile(r"visa-[a-z0-9-]{1,100}")
#: What stands for itself in that file.
_PLAIN = re.compile(r"[A-Za-z0-9/_.,+-]")
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


def do(asked: dict[str, Any], folder: Path = FOLDER) -> bool:
    """Do what is asked; whether anything has changed. Raises as `line`, and OSError."""
    if asked["do"] == "add":
        text = "".join(line(asked["address"], one) for one in asked["directories"])
        folder.mkdir(exist_ok=True)
        place = file_of(asked["machine"], folder)
        new = place.with_suffix(".new")
        new.write_text(text)
        new.replace(place)
        return True
    if asked["do"] == "remove":
        place = file_of(asked["machine"], folder)
        there = place.exists()
        place.unlink(missing_ok=True)
        return there
    if asked["do"] == "keep":
        kept = {file_of(name, folder) for name in asked["machines"]}
        # Of this hub's alone; its machines' names end with 16 hexadecimal digits.
        ours = re.compile(re.escape(f"visa-{asked['hub']}-") + r"[0-9a-f]{16}\.(exports|new)")
        past = [one for one in folder.glob("visa-*") if ours.fullmatch(one.name) and one not in kept]
        for one in past:
            one.unlink(missing_ok=True)
        return bool(past)
    raise ValueError("nothing that is done here")


def main() -> int:
    """0 when it is done, else a sentence on standard error."""
    try:
        changed = do(json.loads(sys.stdin.read(1 << 20)))
    except (ValueError, KeyError, TypeError, OSError) as error:
        print(f"visa-exports: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return subprocess.run(["exportfs", "-ra"], stdin=subprocess.DEVNULL).returncode if changed else 0


if __name__ == "__main__":
    sys.exit(main())
