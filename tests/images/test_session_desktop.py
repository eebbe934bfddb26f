"""The desktop of a session in the real image, used by hand: what opens where, and what does not run."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from pathlib import Path

import numpy
import pytest
from PIL import Image

from .conftest import INSIDE, LOCKED_DOWN

RESULTS = Path(__file__).parent.parent / "results"
#: All that a desktop consists of, what opens a window aside.
PARTS = {"Xtigervnc", "dbus-daemon", "dbus-run-sessio", "sh", "python", "ps", "xfconfd"}
PARTS |= {"xfwm4", "xfdesktop", "xfsettingsd", "xfce4-panel", "panel-7-systray", "Thunar", "thunar"}
MAGENTA = (200, 30, 160)


@pytest.fixture
def use(engine, image, tmp_path):
    """Use a session's desktop by hand: what was found, and where the pictures are."""

    def use(size: str, title: str, *ids: str, mounts: tuple[str, ...] = ()) -> tuple[dict, Path]:
        out = tmp_path / "out"
        out.mkdir()
        out.chmod(0o777)
        for id in ids:
            (tmp_path / "experiments" / id / "raw").mkdir(parents=True)
        (tmp_path / "experiments").mkdir(exist_ok=True)
        name = f"visa-test-desktop-{uuid.uuid4().hex[:8]}"
        command = [engine.program, "run", "--rm", "--name", name, "--user", "23456:34567", *LOCKED_DOWN]
        command += ["-e", "HOME=/out", "-w", "/out", "-v", f"{out}:/out", "-v", f"{INSIDE}:/inside:ro"]
        for mount in (f"{tmp_path}/experiments:/experiments:ro", *mounts):
            command += ["-v", mount]
        command += [image, "python", "/inside/session_desktop.py", size, title, *ids]
        done = subprocess.run(command, capture_output=True, text=True, env=engine.environment, timeout=250)
        RESULTS.mkdir(exist_ok=True)
        for picture in out.glob("*.png"):
            shutil.copy(picture, RESULTS / f"desktop-{size}-{picture.name}")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((out / "found.json").read_text()), out

    return use


def test_one_experiment_on_an_ordinary_screen(use):
    """The menu's first line is the profile's first application, and data open by a double click."""
    found, out = use("1920x1080", "HG-1 - Thunar", "HG-1")
    for name in ("scan.h5", "scan.nxs"):
        assert any(line.endswith(f"silx view /out/measured/{name}") for line in found[name]), found[name]
    assert found["dots"] == "96"
    # Icons of the menu, each with colours of its own, and of the applications beside the experiment's.
    menu = numpy.asarray(Image.open(out / "menu.png").convert("RGB"))
    assert len(numpy.unique(menu[36:90, 0:22].reshape(-1, 3), axis=0)) > 50
    desktop = numpy.asarray(Image.open(out / "desktop.png").convert("RGB"))
    for row in (slice(50, 105), slice(195, 255)):
        assert len(numpy.unique(desktop[row, 190:245].reshape(-1, 3), axis=0)) > 50, "applications"
        folder = desktop[row, 55:110].reshape(-1, 3).astype(int)
        assert len(numpy.unique(folder, axis=0)) > 20, "folders"
        # The image's theme has them in sand; before the settings are known GTK's own would be blue.
        assert (folder[:, 0] - folder[:, 2] > 30).sum() > 300


def test_nothing_locks_saves_updates_or_manages_power(use, tmp_path):
    """Letters are larger on a large screen; two experiments open above them; the wallpaper is the site's."""
    Image.new("RGB", (64, 64), MAGENTA).save(tmp_path / "wallpaper.png")
    mount = f"{tmp_path}/wallpaper.png:/opt/visa/wallpaper.png:ro"
    found, out = use("2560x1440", "experiments - Thunar", "HG-1", "HG-2", mounts=(mount,))
    assert set(found["processes"]) <= PARTS, "whatever joins the desktop is thought about, then listed here"
    assert "timeout:  0" in found["saver"]
    assert "DPMS is Enabled" not in found["saver"]
    assert found["dots"] == "120"
    assert Image.open(out / "desktop.png").convert("RGB").getpixel((2000, 1200)) == MAGENTA
