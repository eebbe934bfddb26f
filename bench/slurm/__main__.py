"""`python -m bench.slurm`: what sessions on a Slurm cluster cost; writes bench/RESULTS-slurm.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from ..hub import BenchFailed
from ..rounds import Figures
from . import cluster, watch
from .report import RESULTS, complete, report

#: What can be taken, by name: how, given the figures, the cluster and the number of rounds.
PARTS = {"watch": watch.take}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.slurm", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="take these figures alone")
    return parser.parse_args()


async def run(figures: Figures, arguments: argparse.Namespace) -> None:
    """Take what was asked for, on one cluster."""
    with cluster.running() as running:
        for name in arguments.only or PARTS:
            print(f"{name} ", end="", flush=True)
            await PARTS[name](figures, running, arguments.rounds)
            print()


def main() -> int:
    """The command; returns its exit code."""
    if os.geteuid():
        print("The figures need root: the cluster runs jobs as other accounts.", file=sys.stderr)
        return 1
    arguments, figures, load = options(), Figures(), os.getloadavg()[1]
    try:
        asyncio.run(run(figures, arguments))
    except BenchFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    text = report(figures, load)
    print(f"\n{text}")
    if complete(figures) and not arguments.only:
        RESULTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
