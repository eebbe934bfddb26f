"""The desktop in the image: what a person would see of it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

RESULTS = Path(__file__).parent.parent / "results"


def colours(path: Path) -> Counter:
    return Counter(Image.open(path).convert("RGB").get_flattened_data())


@pytest.fixture
def desktop(run, tmp_path):
    run("bash", "/inside/desktop.sh")
    RESULTS.mkdir(exist_ok=True)
    for name in ("desktop.png", "silx.png"):
        shutil.copy(tmp_path / name, RESULTS / f"image-{name}")
    return tmp_path


def test_silx_view_shows_on_an_xfce_desktop(desktop):
    """The panel is painted over the backdrop, then silx's window over both."""
    empty, silx = colours(desktop / "desktop.png"), colours(desktop / "silx.png")
    backdrop, area = empty.most_common(1)[0]
    assert backdrop[2] > backdrop[0], "the backdrop is blue"
    assert area > 0.8 * 1280 * 800
    assert len(empty) > 50, "a panel with its icons has more than a few colours"
    assert silx[backdrop] < area - 200_000, "silx view's window covers a part of the backdrop"
    assert len(silx) > len(empty) + 50
    assert (desktop / "uids").read_text().split() == ["23456"]
    assert "True" in (desktop / "opengl").read_text()
    assert "Traceback" not in (desktop / "silx.log").read_text()
