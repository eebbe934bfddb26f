"""Find an application's icon among those of the image: its icon themes and pixmaps, nothing else."""

from __future__ import annotations

import os
import re
from configparser import ConfigParser, Error
from functools import cache
from pathlib import Path

from .desktopentry import data_directories

#: Every theme falls back on this one, as the specification has it.
LAST_THEME = "hicolor"
#: What browsers show, the better first. XPM they do not.
KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
#: Pixels of a tile; smaller pictures would be blown up.
WANTED = 48
#: Bytes; whatever is larger is no icon.
LARGEST = 1_000_000
#: Themes looked into, for those that inherit in a circle.
DEEPEST = 10


def find_icon(name: str) -> Path | None:
    """The file of an `Icon` value, an SVG or PNG; None where the image has none."""
    if name.startswith("/"):
        return _safe(Path(name))
    stem = re.sub(r"\.(svg|png|xpm)$", "", name)
    if not re.fullmatch(r"\w[\w.@+ -]*", stem):
        return None
    for theme in themes():
        for directory in directories_of(theme):
            for kind in KINDS:
                if found := _safe(directory / (stem + kind)):
                    return found
    for directory in data_directories():
        for kind in KINDS:
            if found := _safe(directory / "pixmaps" / (stem + kind)):
                return found
    return None


def _safe(path: Path) -> Path | None:
    """The path, where it leads to an icon of the image's; a link out of its data directories does not."""
    try:
        real = path.resolve(strict=True)
        if real.suffix not in KINDS or not real.is_file() or real.stat().st_size > LARGEST:
            return None
    except (OSError, RuntimeError, ValueError):
        return None
    inside = any(real.is_relative_to(directory.resolve()) for directory in data_directories())
    return real if inside else None


def themes() -> list[str]:
    """The desktop's icon theme and those that it inherits from, the last resort last."""
    found: list[str] = []
    waiting = [chosen_theme()]
    while waiting and len(found) < DEEPEST:
        theme = waiting.pop(0)
        if theme and theme not in (*found, LAST_THEME):
            found.append(theme)
            waiting += index_of(theme).get("Icon Theme", "Inherits", fallback="").split(",")
    return [*found, LAST_THEME]


def chosen_theme() -> str:
    """The icon theme of the image's desktop settings; empty where they name none."""
    for directory in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        try:
            text = Path(directory, "xfce4/xfconf/xfce-perchannel-xml/xsettings.xml").read_text()
        except (OSError, ValueError):
            continue
        if found := re.search(r'"IconThemeName"[^>]*value="([\w.-]+)"', text):
            return found[1]
    return ""


@cache
def index_of(theme: str) -> ConfigParser:
    """What a theme says of itself; empty where it is not there."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    for directory in data_directories():
        try:
            parser.read_string((directory / "icons" / theme / "index.theme").read_text(errors="replace"))
            break
        except (OSError, Error):
            continue
    return parser


@cache
def directories_of(theme: str) -> tuple[Path, ...]:
    """A theme's directories: large enough ones first, the nearest in size before the others."""
    index = index_of(theme)
    names = index.get("Icon Theme", "Directories", fallback="").split(",")

    def size(name: str) -> int:
        text = index.get(name, "Size", fallback="0")
        return int(text) if text.isdigit() else 0

    named = sorted(filter(None, names), key=lambda name: (size(name) < WANTED, abs(size(name) - WANTED)))
    return tuple(directory / "icons" / theme / name for directory in data_directories() for name in named)
