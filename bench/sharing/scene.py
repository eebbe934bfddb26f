"""Runs inside a session, on its display: something that moves, and something that answers a click.

Standard library and numpy only: it is handed to the session's own Python as text. It draws past the
window manager: a picture as large as the screen, changing 60 times a second while it moves, and above it a
square in the middle that changes its colour when it is clicked. Commands are lines on the standard input:
`move`, `rest`.
"""

import ctypes
import os
import select
import sys
import time
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

import numpy

FRAMES, RATE, SQUARE = 12, 60, 64
COLOURS = (0xFFFFFF, 0x20A040)

x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = x.XCreateImage.restype = x.XCreateGC.restype = c_void_p
x.XDefaultVisual.restype = c_void_p
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


def main():
    backdrop = window(0, 0, width, height)
    square = window((width - SQUARE) // 2, (height - SQUARE) // 2, SQUARE, SQUARE)
    pen = c_void_p(x.XCreateGC(display, backdrop, c_ulong(0), None))
    frames = pictures(pen)

    def colour(which):
        x.XSetForeground(display, pen, c_ulong(COLOURS[which]))
        x.XFillRectangle(display, square, pen, 0, 0, SQUARE, SQUARE)
        x.XFlush(display)

    moving, shown, which, next_frame = False, 0, 0, 0.0
    colour(which)
    x.XSync(display, 0)
    print(f"ready {width} {height}", flush=True)
    event = ctypes.create_string_buffer(192)
    connection = x.XConnectionNumber(display)
    while True:
        wait = max(0.0, next_frame - time.monotonic()) if moving else None
        ready, _, _ = select.select([0, connection], [], [], wait)
        if 0 in ready:
            command = os.read(0, 100).decode().strip()
            if not command:
                return
            moving = command == "move"
            next_frame = time.monotonic()
            print(command, flush=True)
        while x.XPending(display):
            x.XNextEvent(display, event)
            if ctypes.cast(event, ctypes.POINTER(c_int))[0] == 4:  # ButtonPress
                which = 1 - which
                colour(which)
        if moving and time.monotonic() >= next_frame:
            shown = (shown + 1) % FRAMES
            x.XCopyArea(display, frames[shown], backdrop, pen, 0, 0, c_uint(width), c_uint(height), 0, 0)
            x.XSync(display, 0)
            next_frame = max(next_frame + 1 / RATE, time.monotonic() - 1 / RATE)


if __name__ == "__main__":
    sys.exit(main())
