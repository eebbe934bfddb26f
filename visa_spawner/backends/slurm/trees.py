"""Which image a session on the cluster enters, as far as the hub's machine sees the nodes' images."""

from __future__ import annotations

import asyncio
from typing import Any

from visa_session.contract import PASSPORT

from ...session import Image, SessionPlan, StartRefused
from ...words import IMAGE_GONE
from ..results import find, image, lacks

__all__ = ["entered", "find", "image", "lacks"]


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
