"""The last lines of a session's own log, for staff: without what would let them act as somebody."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What servers write before a secret, and tokens as the hub makes them.
_NAMED = re.compile(
    r"(?i)\b(token|authorization|password|passwd|secret|cookie|_xsrf|code)(\"?\s*[=:]\s*)(token |bearer )?\S+"
)
_CARRIED = re.compile(r"(?i)\b(token|bearer)(\s+)(?=\S*\d)[\w.~+/-]{16,}=*")
_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z])")


def harmless(lines: Iterable[str]) -> list[str]:
    """The lines without tokens and passwords, whether or not this hub process still knows them."""
    return [_TOKEN.sub("…", _CARRIED.sub(r"\1\2…", _NAMED.sub(r"\1\2…", line))) for line in lines]
