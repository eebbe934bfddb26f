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
from . import watch
from .line import line
from .report import BYTES, CLICK, FRAMES, LINES, RESULTS, THREE, WAYS, Figures, report

#: Rounds from which the report is written.
LEAST_ROUNDS = 3
#: Seconds of an idle desktop.
IDLE = 10.0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "--rounds", type=int, default=LEAST_ROUNDS, help="rounds (default: 3; fewer write no file)"
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
    if name == next(iter(LINES)):
        await asyncio.sleep(watch.UNDER_WAY)
        parts = await watch.work(thin, moving)
        figures.add(BYTES, name, way, sum(parts.values()))
        for act, count in parts.items():
            figures.add(f"{BYTES}: {act}", name, way, count)
        if way == "fluent":
            await later(moving.tell, "scroll")
            await asyncio.sleep(watch.UNDER_WAY)
            await later(moving.tell, "rest")
            await asyncio.sleep(1.5)
            figures.loss.append(await watch.loss(page, moving))
            figures.idle.append(await watch.cpu(session, "visa_session.stream.launch", IDLE))
    await page.context.close()


async def three(figures: Figures, thin, session, moving, way: str) -> None:
    """Three pages on one line, the first one measured."""
    thin.shape(1000, 0)
    pages = [await watch.open_page(thin, session, way) for _ in range(3)]
    thin.shape(*LINES[next(iter(LINES))])
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
            for way in WAYS[:: -1 if number % 2 else 1]:
                for name in LINES:
                    await on_a_line(figures, name, thin, session, moving, way)
                    print(".", end="", flush=True)
                await three(figures, thin, session, moving, way)
    return report(figures, arguments.rounds, load)


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    arguments = options()
    if not assets.is_built():
        assets.build()
    return asyncio.run(run(arguments, scratch)), arguments.rounds >= LEAST_ROUNDS


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("sessions run as an account of their own", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
