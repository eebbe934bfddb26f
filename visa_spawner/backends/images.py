"""Which image a session really gets on the nodes of a fleet, and what software is in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..api import bootscripts
from ..session import Image, SessionPlan, StartRefused
from ..words import IMAGE_GONE
from . import software
from .engine import Engine, EngineRefused, EngineSilent
from .image_contents import text_in

if TYPE_CHECKING:
    from .fleet import Fleet
    from .watch import Watch

#: What the build of an image wrote on it: see docs/operators/images.md.
TITLE_LABEL, RECIPE_LABEL = "org.opencontainers.image.title", "org.visa.recipe"
CREATED_LABEL = "org.opencontainers.image.created"


async def image_on(engine: Engine, name: str) -> Image | None:
    """The image that a name or a digest stands for there; None where there is none.

    Its packages are not looked for. Raises EngineSilent, EngineRefused.
    """
    try:
        found = await engine.call(lambda client: client.inspect_image(name))
    except EngineRefused as error:
        if error.status == 404:
            return None
        raise
    labels = (found.get("Config") or {}).get("Labels") or {}
    return Image(
        recipe=labels.get(TITLE_LABEL, "").removeprefix("visa/"),
        digest=f"sha256:{found['Id'].removeprefix('sha256:')}",
        revision=labels.get(RECIPE_LABEL, ""),
        created=labels.get(CREATED_LABEL, ""),
    )


async def nodes_with(fleet: Fleet, digest: str) -> dict[str, Image]:
    """The nodes that answer and have this very image; raises EngineSilent where none answers."""
    await fleet.ready()
    found, answered = {}, False
    for name, watch in fleet.watches.items():
        if watch.answering:
            try:
                image = await image_on(fleet.engine(name), digest)
            except (EngineSilent, EngineRefused):
                continue
            answered = True
            if image is not None:
                found[name] = image
    if not answered:
        raise EngineSilent("no node answers")
    return found


async def choice_of_nodes(fleet: Fleet, digest: str) -> set[str] | None:
    """Where a session of this very image may start, None for anywhere; raises StartRefused, EngineSilent."""
    if not digest:
        return None
    found = await nodes_with(fleet, digest)
    if not found:
        raise StartRefused(IMAGE_GONE, field="image", status=409, reason="gone")
    return set(found)


async def wanted(engine: Engine, plan: SessionPlan, name: str) -> Image:
    """The image that a session is to be made of: the very one asked for, or what the name stands for now.

    The container is then made of its digest, so that a build meanwhile changes nothing. Raises EngineSilent,
    EngineRefused as for a container of an image that is not there.
    """
    found = await image_on(engine, plan.digest or name)
    if found is None:
        raise EngineRefused(404, f"no such image: {plan.digest or name}")
    return replace(found, recipe=plan.image)


def keep_boot_scripts(fleet: Fleet, watch: Watch) -> None:
    """Have the scripts of the images that run on a node: after a restart no start has read them yet."""
    running = (seen for seen in watch.seen.values() if seen.alive and seen.image)
    lacking = {seen.image: seen.name for seen in running if bootscripts.held.lacks(seen.image)}
    for image, name in lacking.items():
        fleet.keep(bootscripts.held.take(fleet.engine(watch.node.name), name, image, fleet.log))


async def with_packages(image: Image, fleet: Fleet, engine: Engine, container: str) -> Image:
    """The image with its packages, read in a container of it that is made; each image is read once.

    A list that cannot be read is empty, and the session starts all the same.
    """
    known = fleet.packages.get(image.digest)
    if known is None:
        try:
            text = await engine.call(lambda client: text_in(client, container, software.PACKAGES_PLACE))
        except (EngineSilent, EngineRefused) as error:
            fleet.log.warning("The packages of image %s cannot be read: %s", image.digest, error)
            return image
        known = fleet.packages[image.digest] = tuple(software.packages(text))
        await bootscripts.held.take(engine, container, image.digest.removeprefix("sha256:"), fleet.log)
    return replace(image, packages=known)
