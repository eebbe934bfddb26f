"""Lines of the audit log as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

COLUMNS = ("id", "at", "what", "owner", "session", "who", "whom", "role", "address", "details")
#: A cell that begins so would be run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def header() -> str:
    """The first row."""
    return _rows([COLUMNS])


def rows(lines: Iterable[dict[str, Any]]) -> str:
    """One row a line."""
    return _rows([_cell(line[column]) for column in COLUMNS] for line in lines)


def _cell(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return "'" + text if text.startswith(_FORMULA) else text


def _rows(table: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    return out.getvalue()
