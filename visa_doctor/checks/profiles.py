"""Whether each profile can be read, and each of its plans be had anywhere."""

from __future__ import annotations

from pathlib import Path

from visa_spawner.backends.placement import NoRoom, Placement
from visa_spawner.profiles.files import ProfileError, ProfileFile
from visa_spawner.site import BACKENDS

from ..finding import Finding, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

_RESTART = "then restart the hub; sessions run on."


async def look(here: Installation) -> Look:
    """Files, recipes, backends, and whether a plan is larger than any machine."""
    try:
        files = await in_thread(lambda: here.profile_files)
    except ProfileError as error:
        yield wrong(
            f"{worded(error)}.", "Put the profiles there, or set c.VisaSite.profiles_dir.", stops=True
        )
        return
    well = True
    for file in files:
        for finding in _of_file(here, file):
            well = False
            yield finding
    for finding in _backends(here, files):
        well = False
        yield finding
    if well:
        count = len(files)
        yield fine(f"{count} profile{'s' if count != 1 else ''} can be used; every plan fits a machine.")


def _of_file(here: Installation, file: ProfileFile) -> list[Finding]:
    found = []
    for mistake in file.mistakes:
        mend = f"Correct the file (`visa profiles check` finds every mistake), {_RESTART}"
        found.append(wrong(f"{mistake}.", mend, file.path.stem, stops=True))
    recipes = here.config_file.parent / "images"
    if file.profile and recipes.is_dir() and not _recipe(recipes, file.profile.image):
        what = f"Its image {file.profile.image} is no recipe in {recipes}."
        found.append(warning(what, f"Correct `image:` in {file.path}, or add the recipe.", file.path.stem))
    return found


def _recipe(recipes: Path, name: str) -> bool:
    return any((recipes / name / part).is_file() for part in ("recipe.yaml", "Containerfile"))


def _backends(here: Installation, files: list[ProfileFile]) -> list[Finding]:
    """Backends that are named and not set up, and plans that no machine of theirs could ever hold."""
    found = []
    sections = {
        "container": ("ContainerBackend", here.containers.hub_id, here.nodes, "hub_id and nodes"),
        "slurm": ("SlurmBackend", here.cluster.hub_id, True, "hub_id"),
        "vm": ("VMSpawner", here.machines.hub_id, True, "hub_id"),
    }
    for name, (section, hub_id, there, needs) in sections.items():
        plans = here.plans(name)
        stock = here.site.backends.get(name) == BACKENDS[name]
        if plans and stock and not (hub_id and there):
            profiles = ", ".join(sorted({profile.name for profile, _, _ in plans}))
            what = f"Plans with `backend: {name}` stand in {profiles}, and c.{section} is not set."
            mend = f"Set {needs} of c.{section}, or take these plans out, {_RESTART}"
            found.append(wrong(what, mend, name, stops=not hub_id))
    if here.nodes:
        found += _too_large(here)
    return found


def _too_large(here: Installation) -> list[Finding]:
    """By the books that a start goes by, with nothing taken."""
    books, found = Placement(here.nodes, {node.name for node in here.nodes}), []
    for profile, name, plan in here.plans("container"):
        try:
            books.reserve("", plan.resources)
        except NoRoom as error:
            if error.never:
                what = f"The plan {name} can never start: {error.words.rstrip('.')}."
                mend = f"Make the plan smaller, or name a node that has as much, {_RESTART}"
                found.append(wrong(what, mend, profile.name))
            continue
        books.release("")
    return found
