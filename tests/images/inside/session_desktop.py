"""A session's desktop used by hand: menu, file manager, a double click on data. What was found, in /out.

Arguments: the screen's size, the file manager's title that is expected, the ids of the session's experiments.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy
from hand import Hand, changed, geometry, screen, wait_for, windows

from visa_session.contract import ExperimentInfo, SessionInfo
from visa_session.desktop import Desktop
from visa_session.runtime import make_runtime, prepare_environment

OUT = Path("/out")
#: Where the file manager's launcher is on the panel.
LAUNCHER = {"1920x1080": 153, "2560x1440": 174}
APPLICATIONS = ("silx-compare", "silx-view", "not-here")

size, _, *ids = sys.argv[1:]
experiments = tuple(ExperimentInfo(id, "A study", raw=f"/experiments/{id}/raw") for id in ids)
info = SessionInfo("someone", "a", screen=size, applications=APPLICATIONS, experiments=experiments)
runtime = make_runtime()
prepare_environment(os.environ, runtime, info.name)
desktop = Desktop(info, runtime)
environment = desktop.environment()
os.environ.update(environment)
wait_for("xfce4-panel")
wait_for("Desktop")
found = {}

screen().save(OUT / "desktop.png")
hand = Hand(desktop)
hand.click(LAUNCHER[size], 15)
wait_for(sys.argv[2])
screen().save(OUT / "files.png")
found["dots"] = re.search(r"Xft.dpi:\s*(\d+)", subprocess.check_output(["xrdb", "-query"], text=True))[1]
found["processes"] = sorted(set(subprocess.check_output(["ps", "-eo", "comm="], text=True).split()))
found["saver"] = subprocess.check_output(["xset", "q"], text=True)
(OUT / "found.json").write_text(json.dumps(found))
if len(ids) != 1:
    desktop.stop()
    raise SystemExit

hand.click(40, 15)
screen().save(OUT / "menu.png")
hand.click(60, 48)  # the menu's first line
wait_for("Silx compare")
subprocess.run(["pkill", "-f", "silx compare"], check=True)

folder = OUT / "measured"
folder.mkdir()
for name in ("scan.h5", "scan.nxs"):
    subprocess.Popen(["thunar", str(folder)], env=environment)
    wait_for("measured - Thunar")
    before = screen()
    with h5py.File(folder / name, "w") as file:
        file["frame"] = numpy.random.rand(20, 30)
    left, top, right, bottom = geometry("measured - Thunar")
    after = screen()
    # Not the status bar, which counts the files.
    x, y = changed(before, after, (left + (right - left) // 4, top, right, bottom - 60))
    hand.click(x, y - 15, times=2)
    wait_for("Silx viewer")
    screen().save(OUT / f"{name}.png")
    commands = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True).stdout.splitlines()
    found[name] = [line for line in commands if "silx" in line]
    subprocess.run(["pkill", "-f", "silx view"], check=True)
    subprocess.run(["pkill", "-i", "thunar"], check=True)
    deadline = time.monotonic() + 10
    while "Silx viewer" in windows():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # between two looks
    (folder / name).unlink()

(OUT / "found.json").write_text(json.dumps(found))
(OUT / "desktop.log").write_text("\n".join(desktop.last_lines(200)))
desktop.stop()
