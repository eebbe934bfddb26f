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


def about(text: str) -> dict[str, str]:
    """Of the recipe `revision` and `created`, and the `digest` of the image that a tree was made of.

    Empty where it does not say.
    """
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    return {name: str(said.get(name) or "")[:200] for name in ("revision", "created", "digest")}


def of_tree(tree: str) -> dict[str, Any]:
    """What an unpacked image says of itself: as `about`, and `packages`; empty where it cannot be read."""
    return {**about(_read(tree + ABOUT_PLACE)), "packages": packages(_read(tree + PACKAGES_PLACE))}


def of_file(file: str) -> dict[str, Any]:
    """The same of an image in one file, by what stands beside it; see docs/operators/images.md."""
    try:
        said = json.loads(_read(os.path.realpath(file) + ".json"))
        labels, listed = dict(said.get("labels") or {}), list(said.get("packages") or [])
    except (ValueError, TypeError, AttributeError):
        said, labels, listed = {}, {}, []
    found = {
        "revision": labels.get("org.visa.recipe"),
        "created": labels.get("org.opencontainers.image.created"),
        "digest": said.get("image") if isinstance(said, dict) else "",
    }
    keys = ("type", "name", "version")
    listed = [
        one for one in listed if isinstance(one, dict) and all(isinstance(one.get(k), str) for k in keys)
    ]
    return {**about(json.dumps(found)), "packages": [{key: one[key] for key in keys} for one in listed]}


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST)
    except OSError:
        return ""
