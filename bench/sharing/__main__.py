"""`python -m bench.sharing`: what sharing costs and how soon it holds; writes bench/RESULTS-sharing.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from .. import ours
from ..command import carry_out
from ..hub import BenchFailed, Hub, Session
from . import desk, members, stream
from .report import BUSY_DELAY, IDLE, RATE, RESULTS, VIEWERS, Figures, complete, report
from .rfb import Client, Straight, Websocket

PARTS = ("members", "stream")
NAME = "benchshare"
#: Let in as viewers in turn, as far as they are let in: whoever may see the experiment.
PEOPLE = ("bob", "chloe", "ines", "dawid", "hugo", "ada", "sam")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sharing", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the desktop's figures (default: 7)")
    parser.add_argument("--times", type=int, default=20, help="ends and grants (default: 20)")
    parser.add_argument("--only", choices=PARTS, action="append", help="take these figures alone")
    parser.add_argument("--site", type=Path, help="a running site's site.json (default: start the demo)")
    return parser.parse_args()


async def take_members(figures: Figures, scene: members.Scene, times: int) -> None:
    """Ends and grants in turn; the first of each warms up."""
    for number in range(times + 1):
        granted = await asyncio.to_thread(members.grant_seconds, scene)
        ended = await asyncio.to_thread(members.end_seconds, scene)
        if number:
            figures.grants.append(granted)
            figures.ends.append(ended)
        print(".", end="", flush=True)


def _streams(figures: Figures, connects: dict[str, stream.Connect], figure: str, number: int) -> None:
    """One round of one kind of scene, both ways and all numbers of viewers; round 0 warms up."""
    for viewers in VIEWERS:
        for way, connect in list(connects.items())[:: 1 if number % 2 else -1]:
            client = connect(0)
            try:
                with stream.watchers(connect, viewers):
                    if figure == BUSY_DELAY and number:
                        figures.add(RATE, viewers, way, stream.frame_rate(client))
                    delays = stream.click_delays(client)
            finally:
                client.close()
            if number:
                figures.add(figure, viewers, way, statistics.median(delays))


async def take_streams(figures: Figures, hub: Hub, session: Session, site: dict, rounds: int) -> None:
    """The desktop's figures, the owner measured and the others watching."""
    there = await desk.find(await hub.container(session.name))
    watching = await asyncio.to_thread(_let_viewers_in, hub, session, site)

    def straight(number: int) -> Client:
        return Client(Straight(there.socket), there.passwords[1 if number else 0])

    def chain(number: int) -> Client:
        token = watching[number % len(watching)] if number else hub.token
        return Client(Websocket(session.url + "desktop/socket", token))

    connects = {"direct": straight, "chain": chain}
    async with desk.scene(there) as scene:
        for number in range(rounds + 1):
            for command, figure in (("rest", IDLE), ("move", BUSY_DELAY)):
                await scene.tell(command)
                await asyncio.to_thread(_streams, figures, connects, figure, number)
            print(".", end="", flush=True)


def _let_viewers_in(hub: Hub, session: Session, site: dict) -> list[str]:
    """Tokens of people who are viewers now; raises BenchFailed when there is none."""
    tokens = []
    for name in PEOPLE:
        token = site["accounts"].get(name, {}).get("token", "")
        with contextlib.suppress(BenchFailed):
            scene = _scene(hub, session, name, token)
            scene.let_in("viewer")
            tokens.append(token)
    if not tokens:
        raise BenchFailed("nobody could be let in as a viewer")
    return tokens


async def _teammate(hub: Hub, site: dict) -> tuple[str, str]:
    """Somebody who is on an experiment with the owner, and that experiment; raises BenchFailed."""
    teams = {}
    for name, account in site["accounts"].items():
        async with replace(hub, token=account["token"]).client() as client:
            model = (await client.get(f"{hub.url}/hub/api/user")).raise_for_status().json()
        teams[name] = {group.removeprefix("experiment-") for group in model["groups"]}
    for experiment in site["experiments"]:
        together = [name for name, team in teams.items() if experiment in team and name != hub.user]
        if experiment in teams[hub.user] and together:
            return together[0], experiment
    raise BenchFailed(f"nobody is on an experiment with {hub.user}")


def _scene(hub: Hub, session: Session, member: str, token: str) -> members.Scene:
    api = f"{hub.url}/hub/api"
    return members.Scene(api, session.url, hub.user, session.name, hub.token, member, token)


async def run(arguments: argparse.Namespace, scratch: Path) -> tuple[Figures, str]:
    """Start the site and one session, measure, stop both."""
    load, figures, parts = os.getloadavg()[1], Figures(), arguments.only or PARTS
    async with contextlib.AsyncExitStack() as stack:
        print("Starting the site", flush=True)
        site_file = arguments.site or await stack.enter_async_context(ours.demo(scratch / "demo"))
        site = json.loads(site_file.read_text())
        hub = await ours.hub_of(site_file)
        mate, experiment = await _teammate(hub, site)
        hub.options = {**hub.options, "interface": "desktop", "experiments": [experiment]}
        session = await hub.start(NAME)
        stack.push_async_callback(hub.stop, NAME)
        await desk.find(await hub.container(NAME))
        if "members" in parts:
            print("In and out ", end="", flush=True)
            scene = _scene(hub, session, mate, site["accounts"][mate]["token"])
            await take_members(figures, scene, arguments.times)
        if "stream" in parts:
            print("\nThe desktop ", end="", flush=True)
            await take_streams(figures, hub, session, site, arguments.rounds)
    return figures, report(figures, load)


def take(scratch: Path) -> tuple[str, bool]:
    """The report, and whether it is whole."""
    figures, text = asyncio.run(run(options(), scratch))
    return text, complete(figures)


def main() -> int:
    """The command; returns its exit code."""
    return carry_out("sessions are containers", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
