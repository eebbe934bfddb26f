#!/bin/bash
# An Xfce desktop with silx view on a software screen; pictures of both in /out.
set -eu
export DISPLAY=:7 HOME=/out
picture() { python -c "import sys; from PIL import ImageGrab; ImageGrab.grab(xdisplay=':7').save(sys.argv[1])" "$1"; }
wait_for() { for _ in $(seq 100); do if xwininfo -root -tree | grep -q "$1"; then return; fi; sleep 0.2; done; echo "no $1"; exit 1; }
python - <<'P'
import h5py, numpy
with h5py.File("/out/frame.h5", "w") as file:
    file.attrs["default"] = "entry"
    for path, kind in {"entry": "NXentry", "entry/data": "NXdata"}.items():
        file.create_group(path).attrs["NX_class"] = kind
    file["entry"].attrs["default"] = "data"
    file["entry/data"].attrs["signal"] = "frame"
    y, x = numpy.mgrid[-200:200, -300:300]
    file["entry/data/frame"] = numpy.cos(numpy.hypot(x, y) / 10) ** 8
P
Xvnc $DISPLAY -geometry 1280x800 -SecurityTypes None -rfbport -1 -rfbunixpath /out/vnc 2> /out/xvnc.log &
for _ in $(seq 50); do [ -S /out/vnc ] && break; sleep 0.1; done
dbus-launch --exit-with-session xfce4-session > /out/xfce.log 2>&1 &
wait_for xfce4-panel
wait_for xfdesktop
sleep 1
picture /out/desktop.png
silx view /out/frame.h5 > /out/silx.log 2>&1 &
wait_for '"Silx viewer"'
sleep 3
picture /out/silx.png
ps -eo uid= | sort -u > /out/uids
python -c "
from silx.gui import qt
from silx.gui.utils.glutils import isOpenGLAvailable
app = qt.QApplication([])
result = isOpenGLAvailable()
print(result.status, result.error)" > /out/opengl
