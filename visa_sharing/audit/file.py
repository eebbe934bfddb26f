"""The audit log as a file of JSON lines: what the database holds, in its order, each line once."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: Bytes read at a time, from the end, in search of the last whole line.
_BLOCK = 1 << 16


class EventsFile:
    """One file, which others may rotate at any time: by renaming it, or by copying and emptying it.

    Where it got to is read from its last line, from those of rotated ones beside it (`NAME.1`,
    `NAME-20260501`), and from `NAME.last`, which is there for a file that was rotated away altogether.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self._mark = self.path.with_name(self.path.name + ".last")

    def last(self) -> int:
        """The number of the last line written, 0 when there is none; a torn line at the end is cut off.

        Raises OSError.
        """
        found = [self._marked(), self._mended()]
        for other in self.path.parent.glob(self.path.name + "[.-]*"):
            if other != self._mark and not other.name.endswith((".gz", ".xz", ".bz2", ".zst")):
                found.append(_last_number(other))
        return max(found)

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines, in the order of their numbers; raises OSError: ask `last` again then."""
        text, number = "", 0
        for line in lines:
            number = line["id"]
            text += json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
        # Opened each time: a file that was rotated meanwhile is made anew. Names and addresses of people
        # stand in it.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            rest = memoryview(text.encode())
            while rest:
                rest = rest[os.write(file, rest) :]
            regular = stat.S_ISREG(os.fstat(file).st_mode)
        finally:
            os.close(file)
        if regular:
            new = self._mark.with_name(self._mark.name + ".new")
            new.write_text(f"{number}\n")
            new.replace(self._mark)

    def _marked(self) -> int:
        try:
            return int(self._mark.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _mended(self) -> int:
        if self.path.is_file():
            whole = _whole_lines(self.path)
            if self.path.stat().st_size > whole:
                os.truncate(self.path, whole)
        return _last_number(self.path)


def _backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The end of a file, ever more of it: where it begins and what it holds."""
    with path.open("rb") as file:
        size = begin = file.seek(0, os.SEEK_END)
        while begin:
            begin = max(0, begin - _BLOCK)
            file.seek(begin)
            yield begin, file.read(size - begin)


def _whole_lines(path: Path) -> int:
    """How many bytes of a file are whole lines."""
    for begin, tail in _backwards(path):
        if (end := tail.rfind(b"\n")) >= 0:
            return begin + end + 1
    return 0


def _last_number(path: Path) -> int:
    """The number of the last whole line of ours in a file; 0 when there is none."""
    for begin, tail in _backwards(path) if path.is_file() else ():
        lines = tail.split(b"\n")[1 if begin else 0 : -1]
        for line in reversed(lines):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                return int(json.loads(line)["id"])
    return 0
