"""Images made for machines without an engine: trees, files and disks, as far as the hub's machine sees them.

What `python -m images.unpack` and its like make: `NAME.ENDING` is the newest, `NAME-VERSION.ENDING` one of
those that it has replaced, and beside each stands what is said of it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ..session import Image
from . import software


def find(template: str, recipe: str, digest: str = "") -> str | None:
    """Where a recipe's image stands: the present one, or that very one among those that it has replaced.

    None where there is none of that digest here.
    """
    present = Path(template.format(recipe=recipe))
    if not digest:
        return str(present)
    # `python -m images.unpack` and its like keep a replaced one beside for some time: NAME-VERSION.
    version = f"{present.stem}-{'[0-9a-f]' * 12}{present.suffix}"
    # By its own name before the link's, which may lead to another one by the time the job begins; and the
    # present one before those of the same image, which were made from it in another way.
    for one in [present.resolve(), *sorted(present.parent.glob(version)), present]:
        if _digest(str(one), _state(f"{one}.json"), _state(f"{one}{software.ABOUT_PLACE}")) == digest:
            return str(one)
    return None


@lru_cache(maxsize=512)
def _digest(place: str, *states: tuple[int, ...]) -> str:
    """Read anew when the files that say so have changed: a search looks at every version that is kept."""
    return software.of_result(place)["digest"]


def _state(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def image(template: str, recipe: str, digest: str = "") -> Image | None:
    """The image that a start would enter; None where the hub's machine sees none."""
    place = find(template, recipe, digest)
    if place is None or not Path(place).exists():
        return None
    said = software.of_result(place)
    return Image(recipe, said["digest"], said["revision"], said["created"], tuple(said["packages"]))


def lacks(template: str, recipe: str) -> bool:
    """Whether the folder of the nodes' images is here without this one; where it is not, nobody knows."""
    path = Path(template.format(recipe=recipe))
    return path.parent.is_dir() and not path.exists()
