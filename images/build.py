"""Build a session's image: `python -m images.build [NAME]`.

One line a step; all that the tools print goes to images/cache/build-NAME.log. An image whose recipe,
visa_session and options are unchanged is left as it is.
"""

from __future__ import annotations

import argparse
import fcntl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from . import host
from .engine import BuildFailed, Engine, find_engine
from .recipe import IMAGES, TREE, Recipe
from .root import OFFICIAL, RECIPE_LABEL, ensure_root, root_name

RELEASE = "bookworm"
#: Versions of one image to keep, this one included.
KEPT = 3

TITLE_LABEL = "org.opencontainers.image.title"

UP_TO_DATE, BUILT, BEFORE = "up to date", "built", "built before"


@contextmanager
def step(words: str):
    """One line: what is done, and how long it took."""
    print(f"{words:<44}", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print("  failed", flush=True)
        raise
    print(f"{time.monotonic() - began:7.1f} s", flush=True)


@contextmanager
def one_at_a_time():
    """Wait for other builds on this machine: each removes what the last left unused, also under another."""
    with open("/run/lock/visa-images", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another build of images on this machine", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _revision() -> str:
    """The tree's commit, marked where the tree differs from it; empty outside of a repository."""
    git = ["git", "-C", str(TREE)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode:
        return ""
    changes = subprocess.run(
        [*git, "status", "--porcelain"], capture_output=True, text=True, check=False
    ).stdout
    return commit.stdout.strip() + ("-changed" if changes.strip() else "")


def _labels(recipe: Recipe, mark: str) -> dict[str, str]:
    return {
        RECIPE_LABEL: mark,
        TITLE_LABEL: f"visa/{recipe.name}",
        "org.opencontainers.image.created": datetime.now(UTC).isoformat(timespec="seconds"),
        "org.opencontainers.image.revision": _revision(),
        "org.visa.packages": "/opt/visa/packages.txt",
    }


def build(recipe: Recipe, engine: Engine, fresh: bool = False) -> str:
    """Bring the recipe's image up to date; says how: `up to date`, `built`, or `built before`.

    Raises BuildFailed with the step that failed.
    """
    mark = recipe.hash
    exact = f"{recipe.repository}:{mark[:12]}"
    if not fresh and engine.label(exact, RECIPE_LABEL) == mark:
        if engine.label(recipe.image, RECIPE_LABEL) == mark:
            return UP_TO_DATE
        engine.tag(exact, recipe.image)
        return BEFORE
    if recipe.official:
        root = OFFICIAL.format(release=recipe.release)
    else:
        root = root_name(recipe.release)
        with step(f"Debian {recipe.release}'s root filesystem"):
            ensure_root(engine, recipe.release)
    with tempfile.TemporaryDirectory(prefix="visa-image-") as scratch:
        context, secrets = Path(scratch, "context"), Path(scratch, "secrets")
        secrets.mkdir(mode=0o700)
        with step("visa_session's wheel"):
            recipe.stage(context, engine.log)
        with step(f"image {recipe.image}"):
            engine.build(
                context,
                recipe.image,
                arguments={"ROOT": root},
                labels=_labels(recipe, mark),
                secrets=host.write_secrets(secrets, recipe.release),
                fresh=fresh,
            )
    engine.tag(recipe.image, exact)
    # Their layers make going back to another version of the tree, and the next build, quick.
    for old in [tag for tag in engine.tags(recipe.repository) if tag not in ("latest", "<none>")][KEPT:]:
        engine.remove_image(f"{recipe.repository}:{old}")
    engine.remove_replaced(f"{TITLE_LABEL}=visa/{recipe.name}")
    return BUILT


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", default="base", help="a recipe under images/ (default: base)")
    parser.add_argument("--release", default=RELEASE, help=f"Debian release (default: {RELEASE})")
    parser.add_argument("--engine", help="podman or docker (default: the first that is installed)")
    parser.add_argument("--official", action="store_true", help="start from the registry's Debian image")
    parser.add_argument("--fresh", action="store_true", help="build all steps again, whatever is cached")
    options = parser.parse_args(arguments)
    log_path = IMAGES / "cache" / f"build-{options.name.replace('/', '_')}.log"
    log_path.parent.mkdir(exist_ok=True)
    with log_path.open("ab", buffering=0) as log:
        try:
            recipe = Recipe(options.name, options.release, options.official)
            engine = find_engine([options.engine] if options.engine else ["podman", "docker"], log)
            began = time.monotonic()
            with one_at_a_time():
                done = build(recipe, engine, options.fresh)
        except BuildFailed as error:
            print(f"{error}\nThe whole log: {log_path}", file=sys.stderr)
            return 1
    seconds = time.monotonic() - began
    print(f"{recipe.image} is {done} ({seconds:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
