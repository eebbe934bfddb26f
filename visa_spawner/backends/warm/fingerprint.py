"""What a waiting container was made from, in one word: equal only where a new one would be the same."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import metadata
from typing import Any


def fingerprint(body: dict[str, Any]) -> str:
    """Of the configuration that an engine is given: the image's digest, limits, plan, network, command.

    And of our own version: another hub may hand over otherwise than the one that made the container.
    """
    text = json.dumps([_version(), body], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _version() -> str:
    try:
        return metadata.version("visa-jupyterhub")
    except metadata.PackageNotFoundError:
        return ""
