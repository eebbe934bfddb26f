"""Whether each node has the image of each profile, the same one, and one that is looked after."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from visa_spawner.backends.engine import EngineRefused, EngineSilent
from visa_spawner.backends.images import image_on
from visa_spawner.backends.nodes import Node
from visa_spawner.backends.spec import image_name
from visa_spawner.session import Image

from ..finding import counted, fine, unchecked, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, each_of

#: Days after which an image lacks too many of Debian's security updates.
OLD = 90


async def look(here: Installation) -> Look:
    """By node; then whether nodes differ."""
    recipes = {profile.image: profile.name for profile, _, _ in here.plans("container")}
    seen: dict[str, dict[str, Image]] = defaultdict(dict)
    looks = {node.name: _node(here, node, recipes, seen) for node in here.nodes if recipes}
    async for finding in each_of(looks, here.limit):
        yield finding
    for recipe, on in sorted(seen.items()):
        if len({image.revision for image in on.values()}) > 1:
            said = ", ".join(
                f"{image.revision[:8] or 'unknown'} on {node}" for node, image in sorted(on.items())
            )
            yield warning(
                f"The nodes have different software under one name: {said}.",
                f"Build or copy {recipe} to all of them; what runs keeps what it has.",
                recipe,
            )


async def _node(here: Installation, node: Node, recipes: dict[str, str], seen: dict) -> Look:
    engine, missing, well = here.engine(node), [], True
    for recipe in sorted(recipes):
        name = image_name(here.containers.image_template, recipe)
        try:
            found = await image_on(engine, name)
        except EngineSilent:
            what = f"Which images {node.name} has is not known: its engine does not answer."
            yield unchecked(what, about=node.name, because="engines")
            return
        except EngineRefused as error:
            yield wrong(
                f"The engine cannot say whether it has {name}: {worded(error)}.", "See its log.", node.name
            )
            return
        if found is None:
            missing.append(name)
            continue
        seen[recipe][node.name] = found
        for finding in _fits(recipe, name, found, node):
            well = False
            yield finding
    if missing:
        yield wrong(
            f"It lacks {', '.join(missing)}: sessions of these profiles do not start there.",
            f"On it: `python -m images.build {' '.join(name for name in recipes if _is_in(name, missing))}`"
            " (docs/operators/images.md), or by the playbooks: name it in `visa_images`, and `site.yml --tags"
            f" images`. Or correct `image:` in {_profiles(recipes, missing)}.",
            node.name,
        )
    elif well:
        yield fine(f"It has {counted(len(recipes), 'image')}, all that profiles name.", node.name)


def _profiles(recipes: dict[str, str], missing: list[str]) -> str:
    names = sorted(profile for recipe, profile in recipes.items() if _is_in(recipe, missing))
    return f"the profile{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _is_in(recipe: str, names: list[str]) -> bool:
    return any(f"/{recipe}:" in name or name.endswith(f"/{recipe}") for name in names)


def _fits(recipe: str, name: str, found: Image, node: Node):
    again = f"`python -m images.build {recipe}` makes it anew; what runs keeps what it has."
    if not found.revision:
        yield warning(
            f"{name} does not say what it was made from, so passports will not either.", again, node.name
        )
    elif found.recipe != recipe:
        yield wrong(f"{name} is an image of {found.recipe or 'something else'}.", again, node.name)
    if (age := _days(found.created)) > OLD:
        fresh = f"`python -m images.build --fresh {recipe}`, and so regularly."
        yield warning(
            f"{name} was built {age} days ago and lacks the security updates since.", fresh, node.name
        )


def _days(created: str) -> int:
    try:
        made = datetime.fromisoformat(created)
    except ValueError:
        return 0
    return (datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))).days
