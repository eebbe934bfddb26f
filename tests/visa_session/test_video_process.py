"""The process behind the video stream: what it is told when, and with whom it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from visa_session.contract import SessionInfo
from visa_session.stream import process
from visa_session.stream.launch import HIDDEN

from . import display
from .hub.session_spawner import UID
from .hubside import later, wait_until
from .viewer import Viewer

PERSON = {"user": UID, "group": UID, "extra_groups": []}


def a_stream(directory: Path) -> process.StreamProcess:
    """One whose desktop is up; what it makes goes below `directory`."""
    settled = threading.Event()
    settled.set()
    desktop = SimpleNamespace(
        directory=directory / "desktop", start=lambda: None, state="running", words="", settled=settled
    )
    return process.StreamProcess(SessionInfo(owner="alice", name="x"), desktop)


async def on_a_desktop(new_session, directory: Path, monkeypatch) -> process.StreamProcess:
    """A stream of this process, on the screen of a session whose desktop runs."""
    session = await later(new_session)
    (await Viewer.open(session)).close()
    for name, value in (await later(display.x_environment, session)).items():
        monkeypatch.setenv(name, value)
    return a_stream(directory)


def test_it_is_closed_to_its_account_before_it_asks_for_the_token():
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-m", process.LAUNCH]
    # In this order: without a socket it ends, and is waited for.
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.DEVNULL, **PERSON) as child, ours:
        theirs.close()
        ours.settimeout(20)
        assert ours.recv(100) == HIDDEN
        # Root's, where everything of a process that is open is its account's.
        assert Path(f"/proc/{child.pid}/environ").stat().st_uid == 0
        ours.close()
        assert child.wait(20) != 0, "without a word it does not go on"


async def test_who_comes_when_it_has_just_ended_gets_another(new_session, tmp_path, monkeypatch):
    """Also where something holds its output open, as a program that it had started and that goes on."""
    stream = await on_a_desktop(new_session, tmp_path, monkeypatch)
    try:
        async with stream.watched():
            first = stream._process
        with open(f"/proc/{first.pid}/fd/1", "wb"):
            first.kill()
            await later(wait_until, lambda: first.returncode is not None, 10)
            assert not stream.ended.is_set()
            async with stream.watched():
                assert stream._process.pid != first.pid
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_unix_connection(str(stream.socket))
                writer.close()
    finally:
        await stream.stop()


async def test_it_is_told_the_token_no_sooner(tmp_path):
    stream, (ours, theirs) = a_stream(tmp_path), socket.socketpair()
    stream.token = "the-master-token"
    theirs.setblocking(False)
    with ours, theirs:
        telling = asyncio.create_task(stream._hand_over(ours))
        await asyncio.sleep(0.1)  # nothing is waited for: it has had its turn
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        theirs.send(HIDDEN)
        await telling
        assert b"the-master-token" in theirs.recv(1000)


async def test_what_it_says_is_kept_to_a_bound_and_on_no_disk(tmp_path):
    stream, reader = a_stream(tmp_path), asyncio.StreamReader()
    reader.feed_data(b"a line of its own\n" * 5000 + b"the last\n")
    reader.feed_eof()
    await stream._listen(reader)
    assert len(stream._said) == process.LAST_WORDS
    assert stream.last_lines(2) == ["a line of its own", "the last"]


#: Starts a stream, says its number, and waits to be killed.
PARENT = """
import asyncio, sys
from pathlib import Path
from tests.visa_session.test_video_process import a_stream

async def main():
    stream = a_stream(Path(sys.argv[1]))
    async with stream.watched():
        print(stream._process.pid, flush=True)
        await asyncio.sleep(60)  # it is killed meanwhile

asyncio.run(main())
"""


async def test_it_ends_when_its_parent_is_killed(shared_session, tmp_path):
    (await Viewer.open(shared_session)).close()
    environment = os.environ | await later(display.x_environment, shared_session)
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        selkies = psutil.Process(int(await later(parent.stdout.readline)))
        assert process.LAUNCH in selkies.cmdline()
        parent.kill()
    await later(wait_until, lambda: not selkies.is_running(), 10, "it outlives its parent")


async def test_nothing_begins_on_a_screen_that_ends(new_session):
    """Xfce takes its time to end: a stream begun meanwhile would fail, and is not tried for ever."""
    session = await later(new_session)
    (await Viewer.open(session)).close()
    await later(display.x_environment, session)  # Xfce is up
    [xfce] = [one for one in session.processes() if one.name().startswith("dbus-run-sess")]
    server = await later(display.vnc_server, session)
    xfce.suspend()  # it is ended by force a second later
    server.kill()
    states = []
    async with asyncio.timeout(20):
        while "off" not in states:
            states.append((await later(session.get, "visa/session")).json()["desktop"]["state"])
    assert list(dict.fromkeys(states)) in (["running", "starting", "off"], ["starting", "off"])


async def test_an_end_of_the_desktop_is_no_failure_of_the_stream(new_session, tmp_path, monkeypatch):
    stream = await on_a_desktop(new_session, tmp_path, monkeypatch)
    try:
        for _ in range(process.MOST_FAILURES):
            async with stream.watched():
                stream.desktop.state = "starting"
                stream._process.kill()
                async with asyncio.timeout(10):
                    await stream.ended.wait()
            assert (stream.words, stream.failed) == ("The desktop has ended.", False)
            stream.desktop.state = "running"
        assert stream.refusal() == ""
    finally:
        await stream.stop()
