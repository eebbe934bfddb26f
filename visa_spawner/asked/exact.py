"""Exactly that software: a session of an image that its profile has had before, by the image's digest."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from ..session import Image, StartRefused
from ..words import IMAGE_GONE
from .authorise import Accepted

if TYPE_CHECKING:
    from ..site import VisaSite

log = logging.getLogger(__name__)

#: The image of a recipe, or that very one by its digest, as `Backend.image` gives it.
Ask = Callable[[str, str], Awaitable[Image | None]]

UNKNOWN = "no session of this profile has had such an image here"
SILENT = "whether that software is still there is not known at the moment; try again in a minute"


async def look(site: VisaSite, db, ask: Ask, recipe: str, digest: str) -> Image | None:
    """The very image, where it is still there and one of this recipe.

    Gives None where it is gone. Raises StartRefused for one that was never this recipe's, and when nobody
    answers.
    """
    had = site.passports.recipe_of(db, digest)
    if had and had != recipe:
        raise StartRefused(UNKNOWN, field="image")
    try:
        found = await ask(recipe, digest)
    except Exception as error:
        log.exception("whether %s is there is not known", digest)
        raise StartRefused(SILENT, field="image", status=503, reason="image") from error
    if not had and (found is None or found.recipe != recipe):
        # Whatever else an engine has is nobody's software: a build's half-made steps, another service.
        raise StartRefused(UNKNOWN, field="image")
    return found


async def check_image(accepted: Accepted, site: VisaSite, db) -> None:
    """Refuse a request for an image that cannot be had; nothing to do where none is asked for."""
    digest = accepted.request.image
    # A start asks by itself: what was so a moment ago is not enough.
    ask = partial(site.backend(accepted.plan.backend).image, config=site.config)
    if digest and await look(site, db, ask, accepted.profile.image, digest) is None:
        raise StartRefused(IMAGE_GONE, field="image", status=409, reason="gone")
