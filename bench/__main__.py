"""`python -m bench`: this project beside stock parts, in one run; writes bench/RESULTS.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from images.engine import find_engine

from . import listing, ours, rounds
from .bare import Bare
from .command import carry_out
from .network import network
from .plain_image import ensure_plain
from .report import LEAST_ROUNDS, RESULTS, report
from .stock import stock_site

PARTS = ("start", "launcher", "desktop", "list")
#: Rounds of the short form: enough to see that something broke.
SHORT_ROUNDS = 3
#: The stock side's limits when it is measured alone: those of the plan that both sides have otherwise.
ALONE = (2, 4 * 2**30)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--short", action="store_true", help="three rounds, in ten minutes; writes no file")
    parser.add_argument("--only", choices=PARTS, action="append", help="take these figures alone")
    parser.add_argument("--site", type=Path, help="a running site's site.json (default: start the demo)")
    parser.add_argument("--stock-only", action="store_true", help="leave our side out; writes no file")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.rounds = min(arguments.rounds, SHORT_ROUNDS)
    return arguments


async def run(arguments: argparse.Namespace, scratch: Path) -> str:
    """Start both sides, measure, stop both; gives the report."""
    figures, listed, load = rounds.Figures(), {}, os.getloadavg()[1]
    parts = arguments.only or PARTS
    async with AsyncExitStack() as stack:
        hubs, limits, site_file = [], ALONE, None
        if not arguments.stock_only:
            print("Starting our side", flush=True)
            site_file = arguments.site or await stack.enter_async_context(ours.demo(scratch / "demo"))
            mine = await ours.hub_of(site_file)
            # A site that runs already has the plans it has.
            hubs += [mine] if arguments.site else [ours.waiting(mine), mine]
            limits = await ours.limits(mine)
        if {"start", "launcher", "desktop"} & set(parts):
            print("Starting the stock side", flush=True)
            (scratch / "stock").mkdir()
            net = await stack.enter_async_context(network(*limits, own=not arguments.stock_only))
            stock = await stack.enter_async_context(stock_site(scratch / "stock", net, *limits))
            hubs.append(stock)
        if "start" in parts:
            print("Starts ", end="", flush=True)
            await rounds.starts(figures, hubs, Bare(stock, net), arguments.rounds)
        if "launcher" in parts and hubs[0].kind == "warm":
            print("\nLaunchers ", end="", flush=True)
            await rounds.launchers(figures, hubs[0], Bare(stock, net), arguments.rounds)
        if "desktop" in parts:
            print("\nDesktops ", end="", flush=True)
            sides = [hubs[0], *hubs[-1:]] if len(hubs) > 1 else hubs
            await rounds.desktops(figures, sides, arguments.rounds)
        if "list" in parts and site_file:
            print("\nThe list", flush=True)
            listed = await listing.list_times(site_file, 100)
    return report(figures, listed, load)


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    arguments = options()
    with open(scratch / "plain.log", "wb", buffering=0) as log:
        ensure_plain(find_engine(["podman"], log))
    text = asyncio.run(run(arguments, scratch))
    return text, not arguments.stock_only and not arguments.only and arguments.rounds >= LEAST_ROUNDS


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("both sides run containers", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
