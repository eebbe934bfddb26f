"""`python -m bench.slurm`: what sessions on a Slurm cluster cost; writes bench/RESULTS-slurm.md."""

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
from . import cluster, crowd, seats, starts, watch
from .report import RESULTS, complete, report

#: What can be taken, by name: how, given the figures, the cluster, the number of rounds and a folder.
PARTS = {"watch": watch.take, "starts": starts.take, "crowd": crowd.take, "seats": seats.take}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.slurm", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="take these figures alone")
    return parser.parse_args()


async def run(figures: Figures, arguments: argparse.Namespace) -> None:
    """Take what was asked for, on one cluster; cleans up also when it is told to end."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    with cluster.running() as running:
        scratch = running.folder / "hubs"
        scratch.mkdir(mode=0o700)
        for name in arguments.only or PARTS:
            print(f"{name} ", end="", flush=True)
            began = time.monotonic()
            await PARTS[name](figures, running, arguments.rounds, scratch)
            print(f" {time.monotonic() - began:.0f} s")


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    arguments, figures, load = options(), Figures(), os.getloadavg()[1]
    asyncio.run(run(figures, arguments))
    return report(figures, load), complete(figures)


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("the cluster runs jobs as other accounts", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
