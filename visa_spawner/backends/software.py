"""What software a session's image holds, by what the image says of itself.

Standard library alone, Python 3.9: the node program of clusters carries it too.
"""

from __future__ import annotations

import json
import os
from typing import Any

#: Every package with its version, and from which recipe it was built: see docs/operators/images.md.
PACKAGES_PLACE, ABOUT_PLACE = "/opt/visa/packages.txt", "/opt/visa/image.json"
#: Bytes that either may have; a list of ten thousand packages has half of it.
LARGEST = 1 << 20
#: The headings of the list, and what the packages below them are called in package URLs.
_KINDS = {"# Debian": "deb", "# Python": "pypi"}


def packages(text: str) -> list[dict[str, str]]:
    """The list's packages as `{"type": "deb" or "pypi", "name", "version"}`; other lines are left out."""
    found, kind = [], ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("#"):
            kind = _KINDS.get(line, "")
            continue
        name, _, version = line.partition("==") if kind == "pypi" else line.partition(" ")
        if kind and name and version:
            found.append({"type": kind, "name": name, "version": version.strip()})
    return found


def of_result(place: str) -> dict[str, Any]:
    """What is said of an image made for machines without an engine, an unpacked tree or a file.

    `digest` of the image that it was made of, `revision` of its recipe and when that was `created`, and
    `packages`; empty where nothing says so.
    """
    beside, inside = _object(f"{place}.json"), _object(place + ABOUT_PLACE)
    labels = beside.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    return {
        # Inside as well: where it is mounted in a job, nothing is beside it.
        "digest": _text(beside.get("image") or inside.get("digest")),
        "revision": _text(inside.get("revision") or labels.get("org.visa.recipe")),
        "created": _text(inside.get("created") or labels.get("org.opencontainers.image.created")),
        "packages": packages(_read(place + PACKAGES_PLACE)) or _listed(beside.get("packages")),
    }


def _listed(found: object) -> list[dict[str, str]]:
    """The packages of a description that stands beside an image in one file, which nobody opens for that."""
    keys = ("type", "name", "version")
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [
        {key: one[key] for key in keys}
        for one in listed
        if all(isinstance(one.get(key), str) for key in keys)
    ]


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def _object(path: str) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST)
    except OSError:
        return ""
