"""Runs inside a session, on its display: something that moves, and something that answers a click.

Standard library and numpy only: it is handed to the session's own Python as text. It draws past the
window manager: a picture as large as the screen, changing 60 times a second while it moves, and above it a
square in the middle that changes its colour when it is clicked. Below the square, while it is worked in, a
window full of text. Commands are lines on the standard input: `move`; `scroll` the text, `drag` its window,
`edit` it; `rest`, which leaves all as it is; `dump`, which answers with the screen's pixels.
"""

import base64
import ctypes
import os
import random
import select
import sys
import time
import zlib
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

import numpy

FRAMES, RATE, SQUARE = 12, 60, 64
COLOURS = (0xFFFFFF, 0x20A040)
#: How often a second each act changes something.
RATES = {"move": RATE, "scroll": 30, "drag": RATE, "edit": 8}
PAPER, INKS, LINE, LINES = (1200, 720), (0x000000, 0x0000A0, 0xA00000), 16, 400

x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = x.XCreateImage.restype = x.XCreateGC.restype = c_void_p
x.XDefaultVisual.restype = x.XGetImage.restype = c_void_p
for name in ("XRootWindow", "XCreateSimpleWindow", "XCreatePixmap"):
    getattr(x, name).restype = c_ulong
x.XOpenDisplay.argtypes = [c_char_p]
display = c_void_p(x.XOpenDisplay(None))
screen = x.XDefaultScreen(display)
root = c_ulong(x.XRootWindow(display, screen))
width, height = x.XDisplayWidth(display, screen), x.XDisplayHeight(display, screen)


class Attributes(ctypes.Structure):
    """XSetWindowAttributes, as far as the window manager is kept away by it."""

    _fields_ = [
        ("background_pixmap", c_ulong),
        ("background_pixel", c_ulong),
        ("border_pixmap", c_ulong),
        ("border_pixel", c_ulong),
        ("gravities", c_int * 3),
        ("backing_planes", c_ulong),
        ("backing_pixel", c_ulong),
        ("save_under", c_int),
        ("event_mask", c_long),
        ("do_not_propagate_mask", c_long),
        ("override_redirect", c_int),
        ("colormap", c_ulong),
        ("cursor", c_ulong),
    ]


def window(left, top, wide, high):
    """A window of our own, on top of all others, without the window manager."""
    made = c_ulong(x.XCreateSimpleWindow(display, root, left, top, wide, high, 0, c_ulong(0), c_ulong(0)))
    x.XChangeWindowAttributes(display, made, c_ulong(1 << 9), byref(Attributes(override_redirect=1)))
    x.XSelectInput(display, made, c_long(1 << 2))  # button presses
    x.XMapRaised(display, made)
    return made


def pictures(pen):
    """The frames of the motion, drawn beforehand and kept in the X server: showing one costs it a copy."""
    number = numpy.random.default_rng(1)
    low = numpy.kron(number.integers(0, 256, (27, 2 * 48, 3)), numpy.ones((40, 40, 1)))
    smooth = low[:height]
    for axis in (0, 1):
        for step in (4, 8):
            smooth = (smooth + numpy.roll(smooth, step, axis) + numpy.roll(smooth, -step, axis)) / 3
    found = []
    for frame in range(FRAMES):
        pixels = numpy.zeros((height, width, 4), numpy.uint8)
        left = frame * 160 % 1920
        pixels[:, :, :3] = numpy.roll(smooth, -left, axis=1)[:height, :width]
        pixmap = c_ulong(x.XCreatePixmap(display, root, width, height, 24))
        visual = c_void_p(x.XDefaultVisual(display, screen))
        data, size = pixels.ctypes.data_as(c_void_p), (c_uint(width), c_uint(height))
        image = c_void_p(x.XCreateImage(display, visual, 24, 2, 0, data, *size, 32, 0))
        x.XPutImage(display, pixmap, pen, image, 0, 0, 0, 0, *size)
        x.XSync(display, 0)
        found.append(pixmap)
    return found


def letters(pen, onto, left, top, text, ink=0):
    x.XSetForeground(display, pen, c_ulong(INKS[ink]))
    x.XDrawString(display, onto, pen, left, top, text, len(text))


def blank(pen, onto, top, high):
    x.XSetForeground(display, pen, c_ulong(0xFFFFFF))
    x.XFillRectangle(display, onto, pen, 0, top, PAPER[0], high)


def text(pen):
    """A long page of text, drawn beforehand."""
    drawn = c_ulong(x.XCreatePixmap(display, root, PAPER[0], LINES * LINE, 24))
    blank(pen, drawn, 0, LINES * LINE)
    some = random.Random(1)
    for line in range(LINES):
        words = ("".join(some.choices("abcdefghijklmnopqrstuvwxyz", k=some.randint(1, 9))) for _ in range(30))
        letters(pen, drawn, 8, line * LINE + 12, " ".join(words).encode()[:190], line % 7 // 5)
    return drawn


def dump():
    """The screen's pixels as they are, BGRX, packed and in letters."""
    image = x.XGetImage(display, root, 0, 0, c_uint(width), c_uint(height), c_ulong(-1), 2)
    # XImage: width, height, xoffset and format are four ints, then the data.
    data = ctypes.cast(image, ctypes.POINTER(c_void_p))[2]
    return base64.b64encode(zlib.compress(ctypes.string_at(data, width * height * 4), 1)).decode()


class Desk:
    """All that is on the screen, and how each act changes it."""

    def __init__(self):
        self.backdrop = window(0, 0, width, height)
        self.paper = window(100, 100, *PAPER)
        self.square = window((width - SQUARE) // 2, (height - SQUARE) // 2, SQUARE, SQUARE)
        self.pen = c_void_p(x.XCreateGC(display, self.backdrop, c_ulong(0), None))
        self.frames, self.text = pictures(self.pen), text(self.pen)
        self.step = self.which = 0
        # What a window uncovers is drawn by the X server itself.
        x.XSetWindowBackgroundPixmap(display, self.backdrop, self.frames[0])
        x.XUnmapWindow(display, self.paper)
        self.move()
        self.colour()

    def colour(self):
        x.XSetForeground(display, self.pen, c_ulong(COLOURS[self.which]))
        x.XFillRectangle(display, self.square, self.pen, 0, 0, SQUARE, SQUARE)
        x.XFlush(display)

    def begin(self, act):
        if act == "move":
            x.XUnmapWindow(display, self.paper)
        elif act in RATES:
            x.XMapRaised(display, self.paper)
            x.XRaiseWindow(display, self.square)
            x.XSync(display, 0)
            self.scroll()
            self.colour()

    def move(self):
        size = c_uint(width), c_uint(height)
        x.XCopyArea(display, self.frames[self.step % FRAMES], self.backdrop, self.pen, 0, 0, *size, 0, 0)

    def scroll(self):
        top = self.step * 8 % (LINES * LINE - PAPER[1])
        x.XCopyArea(display, self.text, self.paper, self.pen, 0, top, *map(c_uint, PAPER), 0, 0)

    def drag(self):
        x.XMoveWindow(display, self.paper, 100 + abs(self.step * 5 % 800 - 400), 100 + self.step * 3 % 200)

    def edit(self):
        letters(self.pen, self.paper, 8 + self.step % 150 * 7, 300, b"abcdefgh"[self.step % 8 :][:1])


def main():
    desk, act, next_change = Desk(), "rest", 0.0
    x.XSync(display, 0)
    print(f"ready {width} {height}", flush=True)
    event = ctypes.create_string_buffer(192)
    connection = x.XConnectionNumber(display)
    while True:
        wait = max(0.0, next_change - time.monotonic()) if act in RATES else None
        ready, _, _ = select.select([0, connection], [], [], wait)
        if 0 in ready:
            command = os.read(0, 100).decode().strip()
            if not command:
                return
            if command == "dump":
                print(dump(), flush=True)
                continue
            act, next_change = command, time.monotonic()
            desk.begin(act)
            print(command, flush=True)
        while x.XPending(display):
            x.XNextEvent(display, event)
            if ctypes.cast(event, ctypes.POINTER(c_int))[0] == 4:  # ButtonPress
                desk.which = 1 - desk.which
                desk.colour()
        if act in RATES and time.monotonic() >= next_change:
            desk.step += 1
            getattr(desk, act)()
            x.XSync(display, 0)
            pause = 1 / RATES[act]
            next_change = max(next_change + pause, time.monotonic() - pause)


if __name__ == "__main__":
    sys.exit(main())
