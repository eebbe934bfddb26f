"""A person's hand on the desktop: the mouse, through the VNC server, as a browser's window sends them."""

import os
import socket
import struct
import subprocess
import time

from PIL import Image, ImageChops, ImageGrab

from visa_session import rfb


class Hand:
    """One connection to a running desktop, with full control."""

    def __init__(self, desktop):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(desktop.socket))
        assert self.read(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        assert b"\2" in self.read(self.read(1)[0])
        self.socket.sendall(b"\2")
        self.socket.sendall(rfb.answer_challenge(desktop.password(control=True), self.read(16)))
        assert self.read(4) == bytes(4), "the password is taken"
        self.socket.sendall(b"\1")
        self.read(20)
        self.read(struct.unpack(">I", self.read(4))[0])

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += self.socket.recv(count - len(found))
        return found

    def click(self, x: int, y: int, times: int = 1) -> None:
        self.socket.sendall(struct.pack(">BBHH", 5, 0, x, y))
        time.sleep(0.3)  # a hand arrives before it clicks: what it is over lights up
        for _ in range(times):
            for buttons in (1, 0):
                self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))
                time.sleep(0.05)  # the pace of a double click


def windows() -> str:
    """The names of all windows, as X lists them."""
    return subprocess.run(["xwininfo", "-root", "-tree"], capture_output=True, text=True).stdout


def wait_for(window: str, seconds: float = 40) -> None:
    """Wait for a window whose name contains this."""
    deadline = time.monotonic() + seconds
    while f'"{window}' not in windows():
        if time.monotonic() > deadline:
            raise SystemExit(f"no window {window}:\n{windows()}")
        time.sleep(0.2)  # between two looks, up to the deadline


def screen(seconds: float = 30) -> Image.Image:
    """The screen once it has stopped changing: a window is there before what it shows."""
    deadline, before, same = time.monotonic() + seconds, None, 0
    while same < 3:
        now = ImageGrab.grab(xdisplay=os.environ["DISPLAY"])
        same = same + 1 if before is not None and now.tobytes() == before.tobytes() else 0
        before = now
        if time.monotonic() > deadline:
            raise SystemExit("the screen never came to rest")
        time.sleep(0.5)  # between two looks, not instead of one: the loop ends by what it sees or fails
    return before


def changed(before: Image.Image, after: Image.Image, within: tuple[int, int, int, int]) -> tuple[int, int]:
    """The middle of what changed in a part of the screen; fails where nothing did."""
    box = ImageChops.difference(before.crop(within), after.crop(within)).convert("L").getbbox()
    if box is None:
        raise SystemExit("nothing changed on the screen")
    return within[0] + (box[0] + box[2]) // 2, within[1] + (box[1] + box[3]) // 2


def geometry(window: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a window on the screen."""
    told = subprocess.run(["xwininfo", "-name", window], capture_output=True, text=True, check=True).stdout
    values = dict(
        line.strip().split(":", 1) for line in told.splitlines() if ":" in line and "geom" not in line
    )
    x, y = int(values["Absolute upper-left X"]), int(values["Absolute upper-left Y"])
    return x, y, x + int(values["Width"]), y + int(values["Height"])
