"""The last lines of a session's log, for staff: without what lets them act as somebody, or names files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from visa_logs.hiding import hide

#: What a session's server writes of which file somebody works with.
_REQUESTED = re.compile(
    r"/(api/contents|api/notebooks|api/nbconvert|api/collaboration|api/fileid|files|view|nbconvert|h5web|tree)"
    r"[/?][^\s()]*"
)
_FILE = re.compile(r"((?i:saving|uploading|creating|reading|deleting|renaming)\b[^/:]{0,200})[ :]/.*")


def harmless(lines: Iterable[str]) -> list[str]:
    """The lines without tokens, passwords and the names of people's files."""
    return [_nameless(hide(line)) for line in lines]


def _nameless(line: str) -> str:
    return _FILE.sub(r"\1 …", _REQUESTED.sub(r"/\1/…", line))
