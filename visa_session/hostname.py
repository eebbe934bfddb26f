"""Let a container that got another name while it ran know itself by it, as if it had been made with it."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from pathlib import Path


def follow(old: str, new: str, environment: MutableMapping[str, str], etc: Path = Path("/etc")) -> None:
    """Put the new name where an engine wrote the old one; the files are root's, and written in place.

    A file that cannot be written is a line in the log: a session works without.
    """
    if "HOSTNAME" in environment:
        environment["HOSTNAME"] = new
    try:
        (etc / "hostname").write_text(new + "\n")
        hosts = (etc / "hosts").read_text().splitlines()
        # The address first, then names: the old one alone is replaced, wherever it stands.
        lines = ["\t".join(new if word == old else word for word in line.split()) for line in hosts]
        (etc / "hosts").write_text("\n".join(lines) + "\n")
    except OSError as error:
        where = error.filename or etc
        print(f"visa-session: {where} keeps its old name: {error.strerror}", file=sys.stderr, flush=True)
