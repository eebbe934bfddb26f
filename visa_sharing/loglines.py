"""The last lines of a session's log, for staff: without what lets them act as somebody, or names files."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What servers write before a secret, and tokens as the hub makes them.
_NAMED = re.compile(
    r"(?i)\b(token|authorization|password|passwd|secret|cookie|_xsrf|code)(\"?\s*[=:]\s*)(token |bearer )?\S+"
)
_CARRIED = re.compile(r"(?i)\b(token|bearer)(\s+)(?=\S*\d)[\w.~+/-]{16,}=*")
_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z])")


#: What a session's server writes of which file somebody works with.
_REQUESTED = re.compile(
    r"/(api/contents|api/notebooks|api/nbconvert|api/collaboration|api/fileid|files|view|nbconvert|h5web|tree)"
    r"[/?][^\s()]*"
)
_FILE = re.compile(r"((?i:saving|uploading|creating|reading|deleting|renaming)\b[^/:]*)[ :]/.*")


def harmless(lines: Iterable[str]) -> list[str]:
    """The lines without tokens, passwords and the names of people's files."""
    return [_nameless(line) for line in _without_secrets(lines)]


def _nameless(line: str) -> str:
    return _FILE.sub(r"\1 …", _REQUESTED.sub(r"/\1/…", line))


def _without_secrets(lines: Iterable[str]) -> list[str]:
    # Whether or not this hub process still knows them.
    return [_TOKEN.sub("…", _CARRIED.sub(r"\1\2…", _NAMED.sub(r"\1\2…", line))) for line in lines]
