"""One request: read, check, enter, do it, answer. What fails midway is taken back."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import time
from functools import partial

from . import handover, mounts, places
from .container import Container
from .refusals import Refused, Silent
from .request import Request, read


def main() -> None:
    """Answer one request from standard input."""
    _settle()
    try:
        if os.geteuid() != 0:
            raise Refused("only root can reach into a container")
        carry_out(read(0))
        answer = {"done": True}
    except Refused as refused:
        answer = {"refused": str(refused)}
    except Silent as silent:
        answer = {"silent": str(silent)}
    try:
        os.write(1, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        pass  # who asked is gone; what was asked is done


def carry_out(asked: Request) -> None:
    """Do what is asked, or nothing.

    Raises Refused; Silent where it is too late to begin, or where only a hand-over's answer is missing.
    """
    container = Container(asked.pid, asked.container)
    container.take_turn(asked.until)
    trees = mounts.take(asked.mounts)
    container.enter(with_name=bool(asked.hostname))
    if time.monotonic() >= asked.until:
        # Whoever asked has given up, and may have had it set right: the sources may have hung for that long.
        raise Silent("it came too late, and was not begun")
    if asked.do == "unbind":
        _take_away(asked)
        return
    undo: places.Undo = []
    try:
        mounts.put(asked.mounts, trees, undo)
        for place, target in asked.links.items():
            places.make_link(place, target, undo)
        if asked.hostname:
            socket.sethostname(asked.hostname)
        # What it replaces cannot be had back: last.
        for place, text in asked.texts.items():
            places.write_text(place, text, undo)
        container.check()
        if asked.document is not None:
            handover.deliver(asked.document, asked.pid)
    except Silent:
        raise  # it may be somebody's session by now, with what it needs
    except BaseException:
        _undo(undo)
        raise


def _take_away(asked: Request) -> None:
    # Inner ones first.
    targets = sorted(asked.targets, key=lambda path: path.split("/"), reverse=True)
    steps = [partial(places.remove_link, place) for place in asked.unlinked]
    steps += [partial(mounts.remove, target) for target in targets]
    steps += [partial(places.write_text, place, text, []) for place, text in asked.texts.items()]
    refusals = []
    for step in steps:
        try:
            step()
        except Refused as refused:
            refusals.append(str(refused))  # the rest goes all the same
    if refusals:
        raise Refused("; ".join(refusals))


def _undo(undo: places.Undo) -> None:
    for step in reversed(undo):
        try:
            step()
        except (OSError, Refused) as error:
            # Said, and the rest is taken back all the same.
            print(f"could not be taken back: {error}", file=sys.stderr)


def _settle() -> None:
    """Leave nothing of who started this: no umask, no files, no core with a token in it."""
    os.umask(0o022)
    os.chdir("/")
    os.closerange(3, 4096)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Begun, it is gone through with: a hub that is stopped leaves nothing half done.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
