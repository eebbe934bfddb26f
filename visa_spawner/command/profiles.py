"""`visa profiles check`: every mistake of every profile, and whether what they name is there."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..backends.image_contents import LocalImages, NoImage, Trees
from ..backends.settings import ContainerSettings
from ..profiles.files import Mistake, ProfileError, ProfileFile, read_profiles
from ..site import BACKENDS

#: Beside where one is, as in VISA's own tree; and where the playbooks put them.
PLACES = (Path("profiles"), Path("/etc/visa/profiles"))
#: The applications of a recipe's image, by their names; raises NoImage.
Applications = Callable[[str], set[str]]


def add_to(subjects) -> None:
    """Join the command line."""
    parser = subjects.add_parser("profiles", help="the environments that sessions start in")
    words = parser.add_subparsers(title="what to do", required=True, metavar="WORD")
    check = words.add_parser(
        "check",
        help="find every mistake",
        description="""Find every mistake of every profile: in the files, in the recipes and images that they
        name, in the applications that an image does not have. Nothing is changed. The exit code is 1 when
        something is wrong.""",
    )
    check.add_argument(
        "directory",
        nargs="?",
        default=next((place for place in PLACES if place.is_dir()), PLACES[0]),
        type=Path,
        metavar="DIR",
        help=f"where they are (default: the first that is there of {' and '.join(map(str, PLACES))})",
    )
    check.add_argument(
        "--recipes", type=Path, help="the folder of recipes (default: images beside DIR, where it is there)"
    )
    check.add_argument(
        "--engine",
        action="append",
        help="""address of a container engine to look into, once for each (default: DOCKER_HOST, else the
        podman or docker of this machine)""",
    )
    check.add_argument(
        "--image-template",
        default=ContainerSettings.image_template.default_value,
        help="as c.ContainerBackend.image_template has it (default: %(default)s)",
    )
    check.add_argument(
        "--trees",
        help="as c.SlurmBackend.image_template has it, to look into a cluster's images as well",
    )
    check.add_argument("--no-images", action="store_true", help="look into the files alone")
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, and print a line for each mistake; the exit code."""
    try:
        files = read_profiles(options.directory, BACKENDS)
    except ProfileError as error:
        print(error)
        return 1
    mistakes = [mistake for file in files for mistake in file.mistakes]
    recipes = options.recipes or options.directory.resolve().parent / "images"
    if options.recipes or recipes.is_dir():
        mistakes += [mistake for file in files for mistake in _recipe(file, recipes)]
    if not options.no_images:
        mistakes += _images(files, options)
    for mistake in sorted(mistakes, key=lambda mistake: (str(mistake.file), mistake.line)):
        print(mistake)
    count, wrong = len(files), len({mistake.file for mistake in mistakes})
    profiles = "1 profile" if count == 1 else f"{count} profiles"
    if mistakes:
        said = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        print(f"{profiles}: {said} in {wrong} of them.")
        return 1
    print(f"{profiles}: all is well{'; images were not looked at' if options.no_images else ''}.")
    return 0


def _recipe(file: ProfileFile, recipes: Path) -> Iterator[Mistake]:
    name = file.profile and file.profile.image
    if name and not any((recipes / name / part).is_file() for part in ("recipe.yaml", "Containerfile")):
        yield file.mistake(("image",), f"there is no recipe {name} in {recipes}")


def _images(files: list[ProfileFile], options: argparse.Namespace) -> Iterator[Mistake]:
    """What is wrong with images, each looked into once."""
    places: dict[str, list[tuple[str, Applications]]] = {"container": [], "slurm": []}
    engines = options.engine or _engines_here()
    if not engines and any("container" in _backends(file) for file in files):
        where = Path(options.directory)
        yield Mistake(where, 0, "", "no container engine is found here; name one by --engine, or --no-images")
    for address in engines:
        images = LocalImages(address, options.image_template)
        places["container"].append((address, images.applications))
    if options.trees:
        places["slurm"].append((options.trees, Trees(options.trees).applications))
    seen: dict[tuple[str, str], set[str] | NoImage] = {}
    for file in files:
        for backend in _backends(file):
            for where, applications in places.get(backend, ()):
                key = (where, file.profile.image)
                if key not in seen:
                    try:
                        seen[key] = applications(file.profile.image)
                    except NoImage as error:
                        seen[key] = error
                yield from _missing(file, seen[key], where)


def _missing(file: ProfileFile, found: set[str] | NoImage, where: str) -> Iterator[Mistake]:
    if isinstance(found, NoImage):
        yield file.mistake(("image",), str(found))
        return
    for number, name in enumerate(file.profile.applications):
        if name not in found:
            problem = f"the image {file.profile.image} has no application {name} ({where})"
            yield file.mistake(("applications", number), problem)


def _backends(file: ProfileFile) -> list[str]:
    return sorted({plan.backend for plan in file.profile.plans.values()}) if file.profile else []


def _engines_here() -> list[str]:
    """The engine that this machine's own programs would use."""
    if os.environ.get("DOCKER_HOST"):
        return [os.environ["DOCKER_HOST"]]
    sockets = (Path("/run/podman/podman.sock"), Path("/run/docker.sock"))
    return [f"unix://{socket}" for socket in sockets if socket.is_socket()][:1]
