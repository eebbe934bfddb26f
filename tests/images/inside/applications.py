"""Start desktop entries one after the other on the session's desktop; a picture and a log of each in /out.

python applications.py NAME ...    writes /out/applications.json: what came of each, by name
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
from PIL import ImageChops, ImageGrab

from visa_session.contract import SessionInfo
from visa_session.desktop import RUNNING, Desktop
from visa_session.runtime import make_runtime, prepare_environment

OUT = Path("/out")
ENTRIES = Path("/usr/share/applications")


def wait(what, seconds):
    """What `what()` gives once it gives something; None when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.2)  # between two looks: the loop ends by what it sees, or says that it saw nothing
    return found or None


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def windows():
    """The windows that the window manager shows: {id: title}."""
    found = {}
    for window in re.findall(r"0x[0-9a-f]+", ask("xprop", "-root", "_NET_CLIENT_LIST")):
        kind = ask("xprop", "-id", window, "_NET_WM_WINDOW_TYPE", "_NET_WM_NAME", "WM_NAME")
        if not re.search("_TYPE_(DESKTOP|DOCK|SPLASH)", kind):
            title = re.search(r'_NET_WM_NAME\(UTF8_STRING\) = "(.*)"', kind) or re.search(
                r'^WM_NAME\(\w+\) = "(.*)"', kind, re.MULTILINE
            )
            found[window] = title[1] if title else ""
    return found


def at_rest(seconds):
    """The screen once nothing but a cursor changes on it: windows come before what they show."""
    deadline, before, same = time.monotonic() + seconds, None, 0
    while same < 3 and time.monotonic() < deadline:
        now = ImageGrab.grab(xdisplay=os.environ["DISPLAY"])
        changed = before is None or ImageChops.difference(now, before).convert("1", dither=0).getbbox()
        small = (
            changed and changed is not True and (changed[2] - changed[0]) * (changed[3] - changed[1]) < 100
        )
        same = same + 1 if not changed or small else 0
        before = now
        time.sleep(0.5)  # between two pictures that must not differ
    return before


def area(window):
    """Where a window is on the screen: left, top, right, bottom."""
    text = ask("xwininfo", "-id", window)
    x, y, width, height = (
        int(re.search(rf"{name}:\s+(-?\d+)", text)[1])
        for name in ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
    )
    return max(x, 0), max(y, 0), min(x + width, 1600), min(y + height, 1000)


def start(name):
    """Start an entry, look at what it shows, end it; what was seen."""
    entry = (ENTRIES / f"{name}.desktop").read_text()
    command = shlex.split(re.sub(r"%[a-zA-Z]", "", re.search(r"^Exec=(.*)$", entry, re.MULTILINE)[1]))
    began = time.monotonic()
    with open(OUT / f"{name}.log", "w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, cwd=os.environ["HOME"]
        )
    said = {"titles": [], "colours": 0, "blank": 1}
    # A first window may be a splash, which goes again: what counts is what stays.
    there, deadline = {}, began + 80
    while not there and process.poll() is None and time.monotonic() < deadline:
        wait(lambda: windows() or process.poll() is not None, 60)
        picture = at_rest(40)
        there = windows()
    if there:
        said["seconds"] = round(time.monotonic() - began, 1)
        said["titles"] = list(there.values())
        largest = max(there, key=lambda it: numpy.prod(numpy.subtract(area(it)[2:], area(it)[:2])))
        picture.save(OUT / f"{name}.png")
        shown = numpy.asarray(picture.convert("RGB").crop(area(largest)))
        said["size"] = shown.shape[1::-1]
        said["colours"] = len(numpy.unique(shown.reshape(-1, 3), axis=0))
        # The share of the window that has its commonest colour: a blank window has nothing else.
        codes = shown.reshape(-1, 3) @ numpy.array([65536, 256, 1])
        said["blank"] = round(float(numpy.unique(codes, return_counts=True)[1].max() / len(codes)), 4)
    said["runs"] = process.poll() is None
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
        except ProcessLookupError:
            break
        wait(lambda: process.poll() is not None and not windows(), 5)
    return said


info = SessionInfo("someone", "a", screen="1600x1000", applications=tuple(sys.argv[1:]))
runtime = make_runtime()
prepare_environment(os.environ, runtime, info.name)
desktop = Desktop(info, runtime)
desktop.start()
wait(lambda: desktop.state == RUNNING, 30)
wait(lambda: "xfce4-panel" in ask("xwininfo", "-root", "-tree"), 30)
at_rest(20)
found = {}
for name in sys.argv[1:]:
    found[name] = start(name)
    (OUT / "applications.json").write_text(json.dumps(found, indent=1))
    print(name, found[name], flush=True)
desktop.stop()
