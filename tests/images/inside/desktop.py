"""The desktop as a session starts it, with silx view on it; pictures of both in /out."""

import os
import subprocess
import time
from pathlib import Path

import h5py
import numpy
from hand import screen, wait_for

from visa_session.contract import SessionInfo
from visa_session.desktop import RUNNING, Desktop
from visa_session.runtime import make_runtime, prepare_environment

OUT = Path("/out")

with h5py.File(OUT / "frame.h5", "w") as file:
    file.attrs["default"] = "entry"
    for path, kind in {"entry": "NXentry", "entry/data": "NXdata"}.items():
        file.create_group(path).attrs["NX_class"] = kind
    file["entry"].attrs["default"] = "data"
    file["entry/data"].attrs["signal"] = "frame"
    y, x = numpy.mgrid[-200:200, -300:300]
    file["entry/data/frame"] = numpy.cos(numpy.hypot(x, y) / 10) ** 8

info = SessionInfo("someone", "a", screen="1280x800", applications=("silx-view", "silx-compare"))
runtime = make_runtime()
prepare_environment(os.environ, runtime, info.name)
desktop = Desktop(info, runtime)
desktop.start()
deadline = time.monotonic() + 30
while desktop.state != RUNNING and time.monotonic() < deadline:
    time.sleep(0.1)  # between two looks, up to the deadline
wait_for("xfce4-panel")
wait_for("Desktop")
screen().save(OUT / "desktop.png")

with open(OUT / "silx.log", "w") as log:
    subprocess.Popen(["silx", "view", OUT / "frame.h5"], stdout=log, stderr=log)
wait_for("Silx viewer")
screen().save(OUT / "silx.png")

uids = subprocess.run(["ps", "-eo", "uid="], capture_output=True, text=True, check=True).stdout
(OUT / "uids").write_text(" ".join(sorted(set(uids.split()))))
(OUT / "desktop.log").write_text("\n".join(desktop.last_lines(200)))
look = (
    "from silx.gui import qt; from silx.gui.utils.glutils import isOpenGLAvailable;"
    "app = qt.QApplication([]); result = isOpenGLAvailable(); print(result.status, result.error)"
)
opengl = subprocess.run(["python", "-c", look], capture_output=True, text=True)
(OUT / "opengl").write_text(opengl.stdout + opengl.stderr)
desktop.stop()
