"""Which image a session on the cluster enters, as far as the hub's machine sees the nodes' images."""

from __future__ import annotations

import asyncio
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from visa_session.contract import PASSPORT

from ...session import Image, SessionPlan, StartRefused
from ...words import IMAGE_GONE
from .. import software


def find(template: str, recipe: str, digest: str = "") -> str | None:
    """Where a recipe's image stands: the present one, or that very one among those that it has replaced.

    None where there is none of that digest here.
    """
    present = Path(template.format(recipe=recipe))
    if not digest:
        return str(present)
    # `python -m images.unpack` and its like keep a replaced one beside for some time: NAME-VERSION.
    version = f"{present.stem}-{'[0-9a-f]' * 12}{present.suffix}"
    # By its own name before the link's, which may lead to another one by the time the job begins.
    for one in [*sorted(present.parent.glob(version)), present]:
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


async def entered(plan: SessionPlan, backend) -> dict[str, Any]:
    """What the node program is told of the image: where it stands, and the passport to put into the session.

    Raises StartRefused when the very image that was asked for is gone.
    """
    template = backend.image_template
    tree = await asyncio.to_thread(find, template, plan.image, plan.digest)
    if tree is None:
        raise StartRefused(IMAGE_GONE, field="image", status=409, reason="gone")
    found = await asyncio.to_thread(image, template, plan.image, plan.digest)
    stamped = backend.stamp(found or Image(plan.image))
    return {"image": tree, "texts": {PASSPORT: stamped} if stamped else {}}
