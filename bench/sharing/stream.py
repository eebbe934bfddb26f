"""Frames a second, and from a click to its answer on the screen, over one kind of way to the VNC server."""

from __future__ import annotations

import multiprocessing
import random
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..hub import BenchFailed
from .rfb import Client, Gone, Update

#: Clicks a measurement, seconds of motion watched, seconds until a click counts as lost.
CLICKS, WATCHED, LOST = 30, 4.0, 3.0

#: Makes a connection: the argument is 0 for the one measured, then 1, 2, ... for who watches beside it.
Connect = Callable[[int], Client]


def _updates(client: Client, until: float) -> Iterator[Update]:
    while (left := until - time.perf_counter()) > 0:
        if select.select([client], [], [], left)[0]:
            yield from client.pump()


def click_delays(client: Client, clicks: int = CLICKS) -> list[float]:
    """Seconds from a click until the picture that answers it is there as a whole."""
    x, y = client.width // 2, client.height // 2
    client.point(x, y)
    found = []
    for _ in range(clicks + 2):
        for _ in _updates(client, time.perf_counter() + random.uniform(0.06, 0.12)):
            pass
        clicked = time.perf_counter()
        client.press(x, y)
        for update in _updates(client, clicked + LOST):
            if update.shows(x, y):
                found.append(update.at - clicked)
                break
        else:
            raise BenchFailed("a click was never answered on the screen")
    return found[2:]


def frame_rate(client: Client, seconds: float = WATCHED) -> float:
    """Pictures a second of which more than half is new."""
    whole, x, y = client.width * client.height, client.width // 2, client.height // 2
    for _ in _updates(client, time.perf_counter() + 1):
        pass  # the first picture is all of the screen
    begun, count = time.perf_counter(), 0
    for update in _updates(client, begun + seconds):
        count += update.pixels > whole / 2
        if update.shows(x, y):
            raise BenchFailed("the square that is to be clicked changes by itself")
    return count / (time.perf_counter() - begun)


def _watch(connect: Connect, count: int, told) -> None:
    clients = [connect(number + 1) for number in range(count)]
    told.send("watching")
    try:
        while True:
            for ready in select.select([*clients, told], [], [])[0]:
                if ready is told:
                    return
                ready.pump()
    except Gone:
        told.send("gone")


@contextmanager
def watchers(connect: Connect, count: int) -> Iterator[None]:
    """Others who watch meanwhile, in a process of their own; raises BenchFailed when one was dropped."""
    if not count:
        yield
        return
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_watch, args=(connect, count, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(30) or ours.recv() != "watching":
            raise BenchFailed(f"{count} viewers did not get in")
        time.sleep(1)
        yield
        if ours.poll():
            raise BenchFailed("a viewer was dropped")
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.kill()
