"""One record in systemd's journal for each call of a logger, with its level and fields of its own.

By the journal's native protocol, as `logging_journald` speaks it; its own handler would send what a message
was made from as well, secrets included, and waits for a journal that does not read. Where the journal takes
nothing, the record goes as text where the service's output goes: nothing is lost, and nobody waits.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from pathlib import Path
from typing import TextIO

from logging_journald import JournaldTransport

from .hiding import hide, said

SOCKET = "/run/systemd/journal/socket"
#: Seconds that a record waits for room; and how long nothing is tried once that was in vain.
PATIENCE = 0.05
AWAY = 1.0

#: What a terminal does not show as text: for a message with one of these, `journalctl` shows its size alone.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Line(JournaldTransport):
    """A socket to the journal, which gives up soon."""

    # It would wait without end on the socket that it connects anew.
    RECONNECT_ERRNOS = frozenset()

    def __init__(self):
        super().__init__(SOCKET, connected=True)
        self.socket.settimeout(PATIENCE)


class JournalHandler(logging.Handler):
    """Writes to the journal; in text to `stream`, this process's output, when that takes nothing.

    A record's attribute `journal`, as `extra={"journal": {...}}` sets it, has more fields, and may have
    others in the place of those that each record has.
    """

    def __init__(self, stream: TextIO | None = None):
        super().__init__()
        self._stream = stream
        self._line: _Line | None = None
        self._away_until = 0.0
        # What systemd calls a service's output, by the name of its program.
        self._program = Path(sys.argv[0]).name or "python"

    def emit(self, record: logging.LogRecord) -> None:
        priority = priority_of(record.levelno)
        fields = {
            "MESSAGE": self.message(record),
            "PRIORITY": priority,
            "SYSLOG_IDENTIFIER": self._program,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": record.lineno,
            "CODE_FUNC": record.funcName,
        }
        for name, value in getattr(record, "journal", {}).items():
            fields[name] = _shown(hide(value)) if isinstance(value, str) else value
        if not self._sent([(name, _bytes(value)) for name, value in fields.items()]):
            self._write(priority, fields["MESSAGE"])

    def message(self, record: logging.LogRecord) -> str:
        """What was said, with the traceback, without secrets."""
        return _shown(said(record, self.format).lstrip("\n"))  # of a traceback to which nothing was said

    def _sent(self, fields: list[tuple[str, bytes]]) -> bool:
        if time.monotonic() < self._away_until:
            return False
        for _ in range(2):  # once more where the journal began anew, with another socket
            try:
                self._line = self._line or _Line()
                self._line.send(fields)
                return True
            except TimeoutError:  # it is there and does not read
                break
            except OSError:
                self.forget()
        self.forget()
        self._away_until = time.monotonic() + AWAY
        return False

    def forget(self) -> None:
        """Close the socket; the next record opens another one."""
        if self._line:
            self._line.socket.close()
        self._line = None

    def _write(self, priority: int, text: str) -> None:
        """As systemd reads a service's output: a number before each line is its priority."""
        stream = self._stream or sys.stderr
        try:
            stream.write("".join(f"<{priority}>{line}\n" for line in text.splitlines() or [""]))
            stream.flush()
        except (OSError, ValueError):
            return  # the process's output is closed: there is nowhere left

    def close(self) -> None:
        self.forget()
        super().close()


def priority_of(level: int) -> int:
    """syslog's number for a level of Python's."""
    for least, priority in ((50, 2), (40, 3), (30, 4), (20, 6)):
        if level >= least:
            return priority
    return 7


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "backslashreplace")
