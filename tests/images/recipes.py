"""Which images the tests look at, besides base."""

from __future__ import annotations

import os

from images.recipe import BASE, names

#: What `make test` has time for. The rest is looked at by `make images-test`.
BY_DEFAULT = ("tomography", "powder", "fluorescence", "general")


def tested() -> list[str]:
    """The recipes of `VISA_TEST_IMAGES`, words or `all`; without it the ones that `make test` builds."""
    wanted = os.environ.get("VISA_TEST_IMAGES", " ".join(BY_DEFAULT)).split()
    known = [name for name in names() if name != BASE]
    if wanted == ["all"]:
        return known
    if unknown := sorted(set(wanted) - set(known)):
        raise ValueError(f"VISA_TEST_IMAGES: no recipe {', '.join(unknown)}; there are {', '.join(known)}")
    return wanted
