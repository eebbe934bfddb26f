"""`visa inside make FOLDER HOST ...`: the authority for TLS between proxy, hub and sessions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..inside.making import make


def add_to(subjects: argparse._SubParsersAction) -> None:
    """The subject's words."""
    subject = subjects.add_parser("inside", help="TLS between proxy, hub and sessions")
    words = subject.add_subparsers(title="words", required=True, metavar="WORD")
    word = words.add_parser(
        "make",
        help="make the authority and the hub's certificate, as far as they lack or end soon",
    )
    word.add_argument("folder", type=Path, help="where they stand; keys in it are for root alone")
    word.add_argument(
        "hosts", nargs="*", metavar="HOST", help="addresses and names at which sessions reach the hub"
    )
    word.set_defaults(run=_make)


def _make(options: argparse.Namespace) -> int:
    try:
        made = make(options.folder, options.hosts)
    except (OSError, ValueError) as error:
        print(f"{options.folder}: {error}", file=sys.stderr)
        return 1
    for what in made:
        print(f"{options.folder}: made {what}")
    return 0
