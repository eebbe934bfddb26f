"""What commands that take figures share: root, a folder for them, words for a failure, the report."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from images.engine import BuildFailed

from .hub import BenchFailed


def carry_out(why_root: str, take: Callable[[Path], tuple[str, bool]], results: Path) -> int:
    """Have figures taken and print the report; gives the command's exit code.

    `take` gets a folder that is gone afterwards, and gives the report and whether it is whole, and so to be
    written to `results`.
    """
    if os.geteuid():
        print(f"The figures need root: {why_root}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="visa-bench-") as scratch:
        try:
            text, whole = take(Path(scratch))
        except (BenchFailed, BuildFailed) as error:
            print(f"\n{error}", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
            return 1
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
    print(f"\n{text}")
    if whole:
        results.write_text(text)
    return 0
