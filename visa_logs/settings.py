"""Where a program of VISA's logs to: the journal where systemd runs it as a service, else its output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

from traitlets.config.application import LevelFormatter
from traitlets.utils.nested_update import nested_update

from . import hiding

HANDLER = "visa_logs.journal.JournalHandler"
#: What a line of another module than the program itself looks like, elsewhere than in the journal.
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def in_journal() -> bool:
    """Whether this process's error output goes to the journal, as systemd says in JOURNAL_STREAM."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        there = os.fstat(sys.stderr.fileno())
        return (there.st_dev, there.st_ino) == (int(device), int(inode))
    except (AttributeError, OSError, ValueError):
        return False


def journal_settings() -> dict:
    """What to put over a program's own settings (traitlets') for records instead of lines."""
    return {
        "formatters": {"console": {"class": "logging.Formatter", "format": "%(message)s"}},
        "handlers": {"console": {"class": HANDLER}},
        "root": {"handlers": ["console"]},
    }


def text_settings(formatter: str) -> dict:
    """The same for text, by a class that hides secrets; of other modules' lines too."""
    return {
        "formatters": {"console": {"class": formatter}},
        "root": {"handlers": ["console"]},
    }


def of_program(console: dict, level: int) -> dict:
    """A program's settings, `console` being traitlets' own; other modules say as much as the program does."""
    if in_journal():
        nested_update(console, journal_settings())
        console["root"]["level"] = level
        return console
    lines = {
        "formatters": {
            "console": {"class": f"{__name__}.ProgramLine"},
            "lines": {"class": f"{__name__}.Line", "format": LINE},
        },
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["lines"], "level": level},
    }
    return nested_update(console, lines)


def begin(environment: Mapping[str, str], settings: Mapping) -> None:
    """Know this process's secrets, and log what Python would print: errors, and in the journal warnings."""
    hiding.know(hiding.secrets_of(environment, settings))
    sys.excepthook = _uncaught
    if in_journal():
        logging.captureWarnings(True)


def _uncaught(kind, error, traceback) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logging.getLogger().critical("It ends by an error", exc_info=(kind, error, traceback))


class Hides:
    """For a formatter: what it makes of a record, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return hiding.said(record, super().format)


class Line(Hides, logging.Formatter):
    """Lines of modules that know of no program."""


class ProgramLine(Hides, LevelFormatter):
    """Lines of a program of traitlets'."""
