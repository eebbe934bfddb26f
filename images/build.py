"""Build the images of sessions: `python -m images.build [NAME ...]`.

Without a name, all recipes below images/. Lines say what is done; all that the tools print goes to
images/cache/build-NAME.log. An image whose recipe, visa_session and options are unchanged is left as it is.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import host
from .engine import BuildFailed, Engine, find_engine
from .progress import step
from .recipe import IMAGES, TREE, Recipe, names, session_wheel
from .root import OFFICIAL, RECIPE_LABEL, ensure_root, root_name

RELEASE = "bookworm"
#: Versions of one image to keep, this one included.
KEPT = 3
#: Images built side by side: one downloads and unpacks while another compiles.
JOBS = min(2, os.cpu_count() or 1)

TITLE_LABEL = "org.opencontainers.image.title"
SOFTWARE_LABEL = "org.visa.software"

UP_TO_DATE, BUILT, BEFORE = "up to date", "built", "built before"


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


def _commit() -> str:
    """The tree's commit, marked where the tree differs from it; empty outside of a repository."""
    git = ["git", "-C", str(TREE)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode:
        return ""
    changes = subprocess.run(
        [*git, "status", "--porcelain"], capture_output=True, text=True, check=False
    ).stdout
    return commit.stdout.strip() + ("-changed" if changes.strip() else "")


def is_current(recipe: Recipe, engine: Engine) -> bool:
    """Whether the image that sessions start from is this recipe's."""
    return engine.label(recipe.image, RECIPE_LABEL) == recipe.hash


@dataclass
class Build:
    """One run of the command: what several images have in common is made once.

    Its methods raise BuildFailed with the step that failed.
    """

    fresh: bool = False
    scratch: Path | None = None
    _wheel: Path | None = None
    _done: set[str] = field(default_factory=set)
    _locks: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def image(self, recipe: Recipe, engine: Engine) -> str:
        """Bring the recipe's image up to date; says how: `up to date`, `built`, or `built before`."""
        mark = recipe.hash
        exact = f"{recipe.repository}:{mark[:12]}"
        if not self.fresh and engine.label(exact, RECIPE_LABEL) == mark:
            if is_current(recipe, engine):
                return UP_TO_DATE
            engine.tag(exact, recipe.image)
            return BEFORE
        software = self.software(recipe, engine)
        with tempfile.TemporaryDirectory(prefix="visa-image-") as folder:
            context, created = Path(folder, "context"), datetime.now(UTC).isoformat(timespec="seconds")
            recipe.stage(context, self.wheel(engine), created)
            with step(f"{recipe.name}: the image"):
                engine.build(
                    context,
                    recipe.image,
                    file="session.Containerfile",
                    arguments={"SOFTWARE": software},
                    labels={
                        RECIPE_LABEL: mark,
                        TITLE_LABEL: f"visa/{recipe.name}",
                        "org.opencontainers.image.description": recipe.about.title,
                        "org.opencontainers.image.created": created,
                        "org.opencontainers.image.revision": _commit(),
                        "org.visa.packages": "/opt/visa/packages.txt",
                        "org.visa.sbom": "/opt/visa/packages.cdx.json",
                    },
                    secrets={},
                    fresh=self.fresh,
                )
        engine.tag(recipe.image, exact)
        # Their layers make going back to another version of the tree, and the next build, quick.
        keep_latest(engine, recipe.repository)
        engine.remove_replaced(f"{TITLE_LABEL}=visa/{recipe.name}")
        return BUILT

    def software(self, recipe: Recipe, engine: Engine) -> str:
        """The image of the recipe's packages, made where it is not there; gives its name.

        Base's is wanted by all: the first to come makes it, the others wait.
        """
        image = recipe.software_image
        with self._locks[image]:
            known = image in self._done
            if not known and (self.fresh or engine.label(image, RECIPE_LABEL) != recipe.software_hash):
                self._make_software(recipe, engine)
            self._done.add(image)
        return image

    def _make_software(self, recipe: Recipe, engine: Engine) -> None:
        image = recipe.software_image
        root = self.software(recipe.below, engine) if recipe.below else self.root(recipe, engine)
        with tempfile.TemporaryDirectory(prefix="visa-image-") as folder:
            context, secrets = Path(folder, "context"), Path(folder, "secrets")
            secrets.mkdir(mode=0o700)
            recipe.stage_software(context)
            with step(f"{recipe.name}: its packages"):
                engine.build(
                    context,
                    image,
                    file="software.Containerfile",
                    arguments={"ROOT": root},
                    labels={RECIPE_LABEL: recipe.software_hash, SOFTWARE_LABEL: recipe.name},
                    secrets=host.write_secrets(secrets, recipe.release),
                    fresh=self.fresh,
                )
        keep_latest(engine, image.rpartition(":")[0])
        engine.remove_replaced(f"{SOFTWARE_LABEL}={recipe.name}")

    def root(self, recipe: Recipe, engine: Engine) -> str:
        """What base's software stands on."""
        if recipe.official:
            return OFFICIAL.format(release=recipe.release)
        with step(f"Debian {recipe.release}'s root filesystem"):
            ensure_root(engine, recipe.release)
        return root_name(recipe.release)

    def wheel(self, engine: Engine) -> Path:
        """visa_session's wheel, the same for all images."""
        with self._locks["wheel"]:
            if self._wheel is None:
                with step("visa_session's wheel"):
                    self._wheel = session_wheel(self.scratch, engine.log)
            return self._wheel


def keep_latest(engine: Engine, repository: str) -> None:
    """Take the names from all but the newest few of a repository's images."""
    for old in [tag for tag in engine.tags(repository) if tag not in ("latest", "<none>")][KEPT:]:
        engine.remove_image(f"{repository}:{old}")


def build(recipe: Recipe, engine: Engine, fresh: bool = False) -> str:
    """Bring one recipe's image up to date; says how. Raises BuildFailed with the step that failed."""
    with tempfile.TemporaryDirectory(prefix="visa-images-") as scratch:
        return Build(fresh, Path(scratch)).image(recipe, engine)


def build_all(recipes: list[Recipe], engines: dict[str, Engine], fresh: bool, jobs: int) -> int:
    """Build them, some at a time; a line for each, and how many failed."""
    failed = 0
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="visa-images-"))
        work = Build(fresh, Path(scratch))

        def one(recipe: Recipe) -> None:
            nonlocal failed
            began = time.monotonic()
            try:
                done = work.image(recipe, engines[recipe.name])
            except BuildFailed as error:
                failed += 1
                log = log_path(recipe.name)
                print(f"{recipe.image}: {error}\nThe whole log: {log}", file=sys.stderr, flush=True)
            else:
                print(f"{recipe.image} is {done} ({time.monotonic() - began:.1f} s)", flush=True)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, recipes))
    return failed


def log_path(name: str) -> Path:
    return IMAGES / "cache" / f"build-{name}.log"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="*", help="recipes under images/ (default: all)")
    parser.add_argument("--release", default=RELEASE, help=f"Debian release (default: {RELEASE})")
    parser.add_argument("--engine", help="podman or docker (default: the first that is installed)")
    parser.add_argument("--official", action="store_true", help="start from the registry's Debian image")
    parser.add_argument("--fresh", action="store_true", help="build all steps again, whatever is cached")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"images at a time (default: {JOBS})")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs: at least 1")
    (IMAGES / "cache").mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            wanted = [
                Recipe(name, options.release, options.official)
                for name in dict.fromkeys(options.name or names())
            ]
            logs = {it.name: stack.enter_context(log_path(it.name).open("ab", buffering=0)) for it in wanted}
            programs = [options.engine] if options.engine else ["podman", "docker"]
            engines = {name: find_engine(programs, log) for name, log in logs.items()}
            # Nobody waits for another's build when there is nothing to do.
            todo = []
            for it in wanted:
                if not options.fresh and is_current(it, engines[it.name]):
                    print(f"{it.image} is {UP_TO_DATE}", flush=True)
                else:
                    todo.append(it)
            if not todo:
                return 0
            with one_at_a_time():
                return 1 if build_all(todo, engines, options.fresh, options.jobs) else 0
        except BuildFailed as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
