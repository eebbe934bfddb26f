"""The desktop in the image: what a person would see of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy
import pytest
from PIL import Image

RESULTS = Path(__file__).parent.parent / "results"


@pytest.fixture
def desktop(run, tmp_path):
    run("python", "/inside/desktop.py")
    RESULTS.mkdir(exist_ok=True)
    for name in ("desktop.png", "silx.png"):
        shutil.copy(tmp_path / name, RESULTS / f"image-{name}")
    return tmp_path


def test_silx_view_shows_on_an_xfce_desktop(desktop):
    """A panel across the top, icons on the backdrop, then silx's window over both, all as one uid."""
    empty, silx = (
        numpy.asarray(Image.open(desktop / name).convert("RGB")) for name in ("desktop.png", "silx.png")
    )
    assert empty.shape == (800, 1280, 3)
    panel, backdrop = empty[2:28].reshape(-1, 3), empty[700:790, 400:900].reshape(-1, 3)
    assert numpy.abs(panel.mean(0) - backdrop.mean(0)).max() > 8, "the panel is not the backdrop"
    assert len(numpy.unique(empty.reshape(-1, 3), axis=0)) > 300, "icons have many colours"
    changed = (empty != silx).any(axis=2).sum()
    assert changed > 200_000, "silx view's window covers a part of the desktop"
    assert (desktop / "uids").read_text() == "23456"
    assert "Traceback" not in (desktop / "silx.log").read_text()
    assert (desktop / "opengl").read_text().startswith("True")
