"""Desktop entries as freedesktop.org specifies them: what is installed, and how it is started."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

log = logging.getLogger("visa")

DATA_DIRECTORIES = "/usr/local/share:/usr/share"

#: What stands for files that a caller names: here nobody names any. The last four are out of use.
DROPPED = frozenset("fFuUdDnNvm")
ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


class BadEntry(ValueError):
    """A desktop entry that starts nothing; the text says why."""


class NotThere(Exception):
    """There is no such application here; the text is a sentence for who asked for it."""


@dataclass(frozen=True)
class Entry:
    """An installed application. `command` is what to execute, `directory` where, empty for anywhere.

    `needs` is a program without which it is as good as not installed, empty for none; `terminal` says that it
    wants to be run in one.
    """

    path: Path
    title: str
    comment: str
    icon: str
    command: tuple[str, ...]
    directory: str = ""
    needs: str = ""
    terminal: bool = False


def data_directories() -> list[Path]:
    """Where the image has its applications and icons. The home directory is none of them."""
    return [Path(one) for one in (os.environ.get("XDG_DATA_DIRS") or DATA_DIRECTORIES).split(":") if one]


def find_entry(name: str) -> Path | None:
    """The installed desktop entry of an application; None where there is none, or the name is a path."""
    if "/" in name or "\0" in name or name.startswith("."):
        return None
    for directory in data_directories():
        entry = directory / "applications" / f"{name}.desktop"
        if entry.is_file():
            return entry
    return None


def find_application(name: str) -> Entry:
    """An application that can be started; raises NotThere."""
    path = find_entry(name)
    if path is None:
        raise NotThere(f"{name} is not installed in this session's image.")
    try:
        entry = read_entry(path)
    except (BadEntry, OSError) as error:
        raise NotThere(f"{name} cannot be started: its desktop entry is wrong, {error}.") from error
    if entry.needs and which(entry.needs) is None:
        raise NotThere(f"{entry.title} is not installed in this session's image: {entry.needs} is missing.")
    return entry


def find_applications(names: Iterable[str]) -> dict[str, Entry]:
    """Those of these applications that can be started, in this order; of the others a word in the log."""
    found: dict[str, Entry] = {}
    for name in names:
        try:
            found[name] = find_application(name)
        except NotThere as reason:
            log.warning("The application %s is left out: %s", name, reason)
    return found


def read_entry(path: Path) -> Entry:
    """The application that a file describes; raises BadEntry, and OSError where it cannot be read."""
    values = values_of(path.read_text(errors="replace"))
    if values.get("Type") != "Application":
        raise BadEntry("it is no application")
    if values.get("Hidden") == "true":
        raise BadEntry("it is hidden, which means deleted")
    title = values.get("Name") or path.stem
    return Entry(
        path=path,
        title=title,
        comment=values.get("Comment", ""),
        icon=values.get("Icon", ""),
        command=command_of(values.get("Exec", ""), title, values.get("Icon", ""), path),
        directory=values.get("Path", ""),
        needs=values.get("TryExec", ""),
        terminal=values.get("Terminal") == "true",
    )


def values_of(text: str) -> dict[str, str]:
    """The values of the group `[Desktop Entry]`, unescaped; those for other languages are left out."""
    values: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.strip() == "[Desktop Entry]"
            continue
        found = re.fullmatch(r"([A-Za-z0-9-]+)\s*=\s*(.*?)\s*", line)
        if inside and found:
            values.setdefault(found[1], _unescaped(found[2]))
    return values


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[0]), value)


def command_of(line: str, title: str, icon: str, path: Path) -> tuple[str, ...]:
    """The arguments of an `Exec` line, its field codes put in or dropped; no shell reads it.

    Raises BadEntry for a line that the specification has no meaning for.
    """
    command: list[str] = []
    for argument in arguments_of(line):
        if argument == "%i":
            command += ["--icon", icon] if icon else []
            continue
        filled = _filled(argument, {"%": "%", "c": title, "k": str(path)})
        if filled or not argument:
            command.append(filled)
    if not command or not command[0]:
        raise BadEntry("it names no program")
    return tuple(command)


def _filled(argument: str, values: dict[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        code = found[1]
        if code in DROPPED:
            return ""
        if code not in values:
            raise BadEntry(f"its command has %{code}, which means nothing")
        return values[code]

    return re.sub(r"%(.?)", put, argument, flags=re.DOTALL)


def arguments_of(line: str) -> list[str]:
    """An `Exec` line taken apart: spaces separate, double quotes hold together; raises BadEntry."""
    found: list[str] = []
    argument: str | None = None
    quoted = False
    letters = iter(line)
    for letter in letters:
        if letter == "\\" and quoted:
            # The specification's four; before any other letter a backslash is itself.
            letter = next(letters, "")
            argument += letter if letter and letter in '"`$\\' else "\\" + letter
        elif letter == '"':
            quoted = not quoted
            argument = argument or ""
        elif letter.isspace() and not quoted:
            if argument is not None:
                found.append(argument)
            argument = None
        else:
            argument = (argument or "") + letter
    if quoted:
        raise BadEntry("its command has a quote that does not end")
    return [*found, argument] if argument is not None else found
