"""`python -m bench.machines`: what sessions in virtual machines cost; writes bench/RESULTS-machines.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from ..command import carry_out
from ..rounds import Figures
from . import starts, watch
from .host import Host, prepared
from .report import FEW, MANY, RESULTS, complete, report

PARTS = ("starts", "watch")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.machines", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of starts (default: 3)")
    parser.add_argument("--only", choices=PARTS, action="append", help="take these figures alone")
    return parser.parse_args()


async def run(figures: Figures, arguments: argparse.Namespace, host: Host) -> None:
    """Take what was asked for; cleans up also when it is told to end."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    for name in arguments.only or PARTS:
        print(f"{name} ", end="", flush=True)
        began = time.monotonic()
        if name == "starts":
            await starts.take(figures, host, arguments.rounds)
        else:
            await watch.take(figures, host, (FEW, MANY))
        print(f" {time.monotonic() - began:.0f} s", flush=True)


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    arguments, figures, load = options(), Figures(), os.getloadavg()[1]
    with prepared() as host:
        asyncio.run(run(figures, arguments, host))
    return report(figures, load), complete(figures)


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("machines have lines to the host, and data of accounts", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
