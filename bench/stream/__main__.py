"""`python -m bench.stream`: VNC and the video over thin lines; writes bench/RESULTS-stream.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path

from tests.visa_session.browser import browser
from tests.visa_session.hubside import Site, later, start_session, stop_session
from tests.visa_session.moving import Moving
from visa_session import assets

from ..command import carry_out
from . import undecoded, watch
from .line import line
from .report import (
    BYTES,
    CLICK,
    FIRST,
    FRAMES,
    LINES,
    LOOSE,
    RESULTS,
    THREE,
    UNDECODED,
    WAYS,
    Figures,
    report,
)

#: Rounds from which the report is written; those of them that take what nothing is to be reached for as well.
LEAST_ROUNDS, FULL_ROUNDS = 7, 3
#: Seconds of an idle desktop.
IDLE = 10.0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "--rounds", type=int, default=LEAST_ROUNDS, help="rounds (default: 7; fewer write no file)"
    )
    parser.add_argument(
        "--only", choices=["loose"], help="the work on a line that holds neither back; writes no file"
    )
    return parser.parse_args()


async def on_a_line(figures: Figures, name: str, thin, session, moving, way: str) -> None:
    """One way on one line: motion and clicks; on the first line the work, still text and idling as well."""
    thin.shape(1000, 0)  # the page itself is not what is measured
    await later(moving.tell, "rest")
    page = await watch.open_page(thin, session, way)
    thin.shape(*LINES[name])
    await later(moving.tell, "move")
    await asyncio.sleep(watch.UNDER_WAY)
    figures.add(FRAMES, name, way, await watch.frame_rate(page))
    figures.add(CLICK, name, way, await watch.click_delay(page))
    await later(moving.tell, "rest")
    if name == FIRST:
        await asyncio.sleep(watch.UNDER_WAY)
        parts = await watch.work(thin, moving)
        figures.add(BYTES, name, way, sum(parts.values()))
        for act, count in parts.items():
            figures.add(f"{BYTES}: {act}", name, way, count)
        if way == "fluent":
            await later(moving.tell, "scroll")
            await asyncio.sleep(watch.UNDER_WAY)
            await later(moving.tell, "rest")
            await asyncio.sleep(1.0)
            figures.loss.append(await watch.loss(page, moving))
            figures.idle.append(await watch.cpu(session, "visa_session.stream.launch", IDLE))
    await page.context.close()


async def loose(figures: Figures, thin, session, moving, way: str) -> None:
    """The bytes of the work where the line holds neither back, so that both bring all of it."""
    thin.shape(1000, 0)
    await later(moving.tell, "rest")
    page = await watch.open_page(thin, session, way)
    await asyncio.sleep(watch.UNDER_WAY)
    figures.add(BYTES, LOOSE, way, sum((await watch.work(thin, moving)).values()))
    await later(moving.tell, "rest")
    await page.context.close()


async def without_a_browser(figures: Figures, thin, session, moving, way: str) -> None:
    """The first line once more, with nothing that decodes."""
    thin.shape(*LINES[FIRST])
    await later(moving.tell, "move")
    figures.add(UNDECODED, FIRST, way, await undecoded.rate(thin, session, way))
    await later(moving.tell, "rest")


async def three(figures: Figures, thin, session, moving, way: str) -> None:
    """Three pages on one line, the first one measured."""
    thin.shape(1000, 0)
    pages = [await watch.open_page(thin, session, way) for _ in range(3)]
    thin.shape(*LINES[FIRST])
    await later(moving.tell, "move")
    await asyncio.sleep(watch.UNDER_WAY)
    figures.add(FRAMES, THREE, way, await watch.frame_rate(pages[0]))
    await later(moving.tell, "rest")
    for page in pages:
        await page.context.close()


async def run(arguments: argparse.Namespace, scratch: Path) -> str:
    """Start hub, session and browser, measure, stop all."""
    load, figures = os.getloadavg()[1], Figures()
    scratch.chmod(0o755)
    site = Site(scratch)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(site.stop)
        await later(site.start_proxy)
        await later(site.start_hub)
        session = await later(start_session, site, "alice", "bench")
        stack.callback(stop_session, session)
        session.get("desktop/")
        moving = await later(Moving, session)
        stack.callback(moving.close)
        thin = await stack.enter_async_context(line(site.port, 1000, 0))
        there = f"--host-resolver-rules=MAP 127.0.0.1:{site.port} 127.0.0.1:{thin.port}"
        thin.browser = await stack.enter_async_context(browser(there))
        for number in range(arguments.rounds):
            full = number < FULL_ROUNDS
            for way in WAYS[:: -1 if number % 2 else 1]:
                if arguments.only or full:
                    await loose(figures, thin, session, moving, way)
                if arguments.only:
                    continue
                for name in LINES if full else (FIRST,):
                    await on_a_line(figures, name, thin, session, moving, way)
                    print(".", end="", flush=True)
                await without_a_browser(figures, thin, session, moving, way)
                if full:
                    await three(figures, thin, session, moving, way)
    return report(figures, arguments.rounds, load)


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    arguments = options()
    if not assets.is_built():
        assets.build()
    return asyncio.run(run(arguments, scratch)), arguments.rounds >= LEAST_ROUNDS and not arguments.only


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("sessions run as an account of their own", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
