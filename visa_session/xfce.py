"""What Xfce finds in a session beside the person's own settings, made anew for each one.

Everything is put into the session's private directory and named to Xfce by environment variables, so the
home directory is left as it is. Defaults come by XDG_CONFIG_DIRS, which a person's own settings override.
The icons on the desktop need more: which directory they lie in is a setting of the home directory, so the
program that draws them, and it alone, is given another XDG_CONFIG_HOME.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from .contract import EXPERIMENTS_ROOT, SessionInfo
from .desktopentry import find_applications

log = logging.getLogger("visa")

SHIPPED = Path(__file__).parent / "desktop"
#: The program that draws the icons cuts their labels after 14 letters, where ids of one proposal look alike.
WHOLE_LABELS = """XfdesktopIconView {
  -XfdesktopIconView-ellipsize-icon-labels: 0;
  -XfdesktopIconView-cell-text-width-proportion: 2.5;
}
"""


def prepare(info: SessionInfo, directory: Path) -> dict[str, str]:
    """Write the session's settings below `directory`; the environment that leads Xfce to them."""
    settings, icons, own = directory / "xdg", directory / "icons", directory / "config"
    shutil.rmtree(settings, ignore_errors=True)
    shutil.rmtree(icons, ignore_errors=True)
    shutil.copytree(SHIPPED / "xdg", settings)
    channels = settings / "xfce4/xfconf/xfce-perchannel-xml"
    _fill(channels / "xfce4-desktop.xml", WALLPAPER=str(SHIPPED / "wallpaper.svg"))
    icons.mkdir(mode=0o700)
    place_applications(info.applications, icons)
    place_experiments(info, icons)
    bookmark_experiments(info, Path(os.environ["HOME"]))
    own.mkdir(mode=0o700, exist_ok=True)
    (own / "user-dirs.dirs").write_text(f'XDG_DESKTOP_DIR="{icons}"\n')
    (own / "gtk-3.0").mkdir(exist_ok=True)
    (own / "gtk-3.0/gtk.css").write_text(WHOLE_LABELS)
    return {
        "XDG_CONFIG_DIRS": f"{settings}:{os.environ.get('XDG_CONFIG_DIRS') or '/etc/xdg'}",
        "VISA_DESKTOP_CONFIG": str(own),
        "VISA_DESKTOP_BUS": str(directory / "bus"),
        "XDG_CURRENT_DESKTOP": "XFCE",
        "DESKTOP_SESSION": "xfce",
        "XDG_SESSION_TYPE": "x11",
        # The accessibility bus is one more process to wait for; nothing in the image listens to it.
        "NO_AT_BRIDGE": "1",
    }


def _fill(path: Path, **values: str) -> None:
    """Put values into a settings file at `@NAME@`, quoted as XML attributes."""
    text = path.read_text()
    for name, value in values.items():
        text = text.replace(f'"@{name}@"', quoteattr(value))
    path.write_text(text)


def place_applications(names: tuple[str, ...], icons: Path) -> None:
    """Put the entries of the profile's applications on the desktop, in the order of the profile.

    They are started without the desktop's own XDG_CONFIG_HOME, so that they keep their settings at home.
    """
    for number, (name, entry) in enumerate(find_applications(names).items()):
        lines = entry.path.read_text(errors="replace").splitlines()
        lines = [
            "Exec=env -u XDG_CONFIG_HOME " + line.removeprefix("Exec=") if line.startswith("Exec=") else line
            for line in lines
        ]
        placed = icons / f"{number:02}-{name}.desktop"
        placed.write_text("\n".join(lines) + "\n")
        placed.chmod(0o700)


def place_experiments(info: SessionInfo, icons: Path) -> None:
    """Put a way to each experiment's data on the desktop: it opens under its own path, not the desktop's."""
    for experiment in info.experiments:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", experiment.id):
            continue  # what could be no directory below /experiments, nor stand in a command
        placed = icons / f"experiment-{experiment.id}.desktop"
        lines = [
            "[Desktop Entry]",
            "Type=Application",
            f"Name={experiment.id}",
            f"Comment={_one_line(experiment.title)}",
        ]
        lines += [
            f"Exec=env -u XDG_CONFIG_HOME thunar {EXPERIMENTS_ROOT}/{experiment.id}",
            "Icon=folder",
        ]
        placed.write_text("\n".join(lines) + "\n")
        placed.chmod(0o700)


def _one_line(text: str) -> str:
    """A title as a desktop entry holds it."""
    return "".join(letter if letter.isprintable() else " " for letter in text).replace("\\", "\\\\")


def bookmark_experiments(info: SessionInfo, home: Path) -> None:
    """Add the experiments to the file manager's places, once and for all sessions: one line.

    The one thing written to the home directory, since GTK keeps its places nowhere else.
    """
    if not info.experiments:
        return
    line = f"file://{quote(EXPERIMENTS_ROOT)} Experiments"
    places = home / ".config/gtk-3.0/bookmarks"
    try:
        known = places.read_text(errors="replace") if places.exists() else ""
        if any(other.split(" ")[0] == line.split(" ")[0] for other in known.splitlines()):
            return
        places.parent.mkdir(parents=True, exist_ok=True)
        with places.open("a") as file:
            file.write(f"{line}\n" if not known or known.endswith("\n") else f"\n{line}\n")
    except OSError as error:
        log.warning("The experiments could not be added to the file manager's places: %s", error)
