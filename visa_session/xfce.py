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
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from .contract import EXPERIMENTS_ROOT, SessionInfo
from .desktopentry import Entry, data_directories, find_applications
from .places import data_directory, experiment_directory
from .screen import density_of, size_of

log = logging.getLogger("visa")

SHIPPED = Path(__file__).parent / "desktop"
#: Where the image may have the facility's own wallpaper; the first that is there.
WALLPAPERS = [Path(f"/opt/visa/wallpaper.{kind}") for kind in ("svg", "png", "jpg")]
#: Pixels that the panel and an icon with its label take of a screen's height.
PANEL, CELL = 40, 150
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
    dots = density_of(info.screen)
    _fill(channels / "xfce4-desktop.xml", WALLPAPER=str(wallpaper()), ICON=str(48 * dots // 96))
    _fill(channels / "xsettings.xml", DOTS=str(dots))
    applications = find_applications(info.applications)
    _list_applications(settings / "menus/xfce-applications.menu", applications)
    icons.mkdir(mode=0o700)
    place_applications(applications, icons)
    place_file_manager(directory / "share/applications")
    place_experiments(info, icons)
    bookmark_experiments(info, Path(os.environ["HOME"]))
    own.mkdir(mode=0o700, exist_ok=True)
    (own / "user-dirs.dirs").write_text(f'XDG_DESKTOP_DIR="{icons}"\n')
    _arrange_icons(own / "xfce4/desktop", icons, info.screen)
    (own / "gtk-3.0").mkdir(exist_ok=True)
    (own / "gtk-3.0/gtk.css").write_text(WHOLE_LABELS)
    return {
        "XDG_DATA_DIRS": ":".join(map(str, [directory / "share", *data_directories()])),
        "VISA_FILES": data_directory(info, os.environ["HOME"]),
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


def wallpaper() -> Path:
    """The facility's, where the image brings one; ours otherwise."""
    return next((path for path in WALLPAPERS if path.is_file()), SHIPPED / "wallpaper.svg")


def _list_applications(menu: Path, names: Iterable[str]) -> None:
    """Put the profile's applications at the head of the menu."""
    lines = "".join(f"<Filename>{escape(name)}.desktop</Filename>" for name in names)
    menu.write_text(menu.read_text().replace("<Filename>@APPLICATIONS@</Filename>", lines))


def place_file_manager(applications: Path) -> None:
    """Let the file manager open at the session's data, wherever it is started without a folder's name.

    By an entry of the same name as the image's: panels that people have arranged for themselves find it too.
    """
    applications.mkdir(parents=True, exist_ok=True)
    lines = ["[Desktop Entry]", "Type=Application", "Name=Files", "Comment=The files of this session"]
    lines += [f"Exec=/bin/sh {SHIPPED}/files.sh %U", "Icon=org.xfce.thunar", "StartupNotify=true"]
    lines += ["Categories=System;FileTools;FileManager;", "MimeType=inode/directory;"]
    (applications / "thunar.desktop").write_text("\n".join(lines) + "\n")


def place_applications(applications: Mapping[str, Entry], icons: Path) -> None:
    """Put the entries of the profile's applications on the desktop, in the order of the profile.

    They are started without the desktop's own XDG_CONFIG_HOME, so that they keep their settings at home.
    """
    for number, (name, entry) in enumerate(applications.items()):
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
        directory = _quoted(experiment_directory(experiment))
        placed = icons / f"experiment-{experiment.id}.desktop"
        lines = [
            "[Desktop Entry]",
            "Type=Application",
            f"Name={experiment.id}",
            f"Comment={_one_line(experiment.title)}",
        ]
        lines += [
            f'Exec=env -u XDG_CONFIG_HOME thunar "{directory}"',
            "Icon=folder",
        ]
        placed.write_text("\n".join(lines) + "\n")
        placed.chmod(0o700)


def follow_experiments(info: SessionInfo, icons: Path) -> None:
    """Have the icons of a desktop that is up follow data that came or went; what fails is logged."""
    try:
        if not icons.is_dir():
            return
        wanted = {f"experiment-{one.id}.desktop" for one in info.experiments}
        for placed in icons.glob("experiment-*.desktop"):
            if placed.name not in wanted:
                placed.unlink()
        place_experiments(info, icons)
    except OSError as error:
        log.warning("The desktop's icons could not follow the session's data: %s", error)


def _arrange_icons(settings: Path, icons: Path, screen: str) -> None:
    """Say where the icons stand: home and experiments on the left, the applications beside them.

    The program that draws them would put them in the order in which the file system lists them.
    """
    rows = max(1, (size_of(screen)[1] - PANEL) // (CELL * density_of(screen) // 96))
    names = sorted(icons.iterdir())
    columns = ([Path(os.environ["HOME"])], [])
    for path in names:
        columns[0 if path.name.startswith("experiment-") else 1].append(path)
    lines = ["[xfdesktop-version-4.10.3+-rcfile_format]", "4.10.3+=true"]
    column = 0
    for paths in columns:
        for number, path in enumerate(paths):
            lines += [f"[{path}]", f"row={number % rows}", f"col={column + number // rows}"]
        column += -(-len(paths) // rows)
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "icons.screen.latest.rc").write_text("\n".join(lines) + "\n")


def _quoted(argument: str) -> str:
    """What stands between the quotes of an entry's command: a dataset may have any name."""
    for letter in '\\"`$':
        argument = argument.replace(letter, "\\" + letter)
    return _one_line(argument).replace("%", "%%")


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
