"""Keeps secrets out of what is printed, whoever's words they stand in."""

from __future__ import annotations

import re

from visa_logs.hiding import HIDDEN

_IN_ADDRESS = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")


def hide(text: str, secrets: set[str]) -> str:
    """The text without any of them, and without passwords in addresses."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
