"""What happens on a session's display, seen from the session's own side with X's own tools."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile

import psutil

from .hub.session_spawner import UID
from .hubside import Session, wait_until


def vnc_server(session: Session) -> psutil.Process:
    """Its VNC server; fails when there is none."""
    servers = [process for process in session.processes() if "tigervnc" in process.name().lower()]
    assert len(servers) == 1, "there is one VNC server"
    return servers[0]


def x_environment(session: Session) -> dict[str, str]:
    """DISPLAY and XAUTHORITY, as the session's window manager has them."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        for process in session.processes():
            # Others come and go while the desktop comes up.
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "xfwm4":
                    found.append(process)
        return bool(found)

    wait_until(is_there, 15, "no window manager")
    environment = found[0].environ()
    return {name: environment[name] for name in ("DISPLAY", "XAUTHORITY")}


def run(session: Session, *command: str) -> str:
    """Run one of X's tools as the session's account."""
    env = {"PATH": os.environ["PATH"], "HOME": "/"} | x_environment(session)
    done = subprocess.run(command, env=env, user=UID, group=UID, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pointer(session: Session) -> tuple[int, int]:
    found = re.match(r"x:(\d+) y:(\d+)", run(session, "xdotool", "getmouselocation"))
    return int(found[1]), int(found[2])


def size(session: Session) -> str:
    return re.search(r"dimensions:\s+(\d+x\d+)", run(session, "xdpyinfo"))[1]


class Keys:
    """An X window that has the keyboard, and the letters that reach it."""

    def __init__(self, session: Session):
        self.session, self.env = session, {"PATH": os.environ["PATH"], "HOME": "/"} | x_environment(session)
        self.output = tempfile.TemporaryFile()
        command = ["stdbuf", "-oL", "xev", "-event", "keyboard", "-geometry", "500x300+200+200"]
        self.process = subprocess.Popen(command, env=self.env, user=UID, group=UID, stdout=self.output)
        wait_until(self.has_keyboard, 10, "the window did not get the keyboard")

    def has_keyboard(self) -> bool:
        """Whether the window is up and got the keyboard by being asked to take it."""
        search = ["xdotool", "search", "--onlyvisible", "--name", "Event Tester"]
        command = [*search, "windowfocus", "getwindowfocus", "getwindowname"]
        done = subprocess.run(
            command, env=self.env, user=UID, group=UID, capture_output=True, text=True, timeout=10
        )
        return "Event Tester" in done.stdout

    def letters(self) -> str:
        """What was typed until now."""
        self.output.seek(0)
        text = self.output.read().decode()
        return "".join(re.findall(r"KeyPress event.*?keysym 0x[0-9a-f]+, (\w+)\)", text, re.DOTALL))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.output.close()
