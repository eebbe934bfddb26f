"""What an image becomes for machines without an engine: a version each, and a link to the newest.

In a folder, `NAME.ENDING` is a link to `NAME-IMAGE.ENDING`, whose middle is the beginning of the image's
digest, and `NAME.ENDING.json` says what it is. The link changes at once, and only when the image has.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from visa_spawner.backends import software

from .engine import BuildFailed, Engine, find_engine
from .recipe import IMAGES
from .root import RECIPE_LABEL

#: Replaced ones stay that long for jobs on other machines, which nobody here sees: the longest session.
KEEP_HOURS = 24 * 14


@dataclass(frozen=True)
class Image:
    """An image that is built: its recipe's name, the digest, when it was made (seconds), its labels."""

    name: str
    digest: str
    created: int
    labels: dict[str, str]

    @property
    def reference(self) -> str:
        """The name that sessions start from."""
        return f"localhost/visa/{self.name}:latest"


def built(engine: Engine, name: str) -> Image:
    """The recipe's image as it is now; raises BuildFailed where there is none."""
    found = engine.inspect(f"localhost/visa/{name}:latest")
    if found is None:
        raise BuildFailed(
            f"there is no image localhost/visa/{name}:latest: run `python -m images.build {name}`"
        )
    labels = (found.get("Config") or {}).get("Labels") or {}
    # Nanoseconds are more than Python reads.
    created = datetime.fromisoformat(found["Created"][:19] + "+00:00")
    return Image(name, found["Id"].removeprefix("sha256:"), int(created.timestamp()), labels)


def publish(
    engine: Engine,
    folder: Path,
    image: Image,
    ending: str,
    make: Callable[[Path], None],
    keep_hours: float = KEEP_HOURS,
    version: str = "",
) -> bool:
    """Have `NAME.ENDING` in the folder be of this image; says whether `make(path)` had to make it.

    `version`, twelve hexadecimal digits, is given where the image alone does not decide what is made. Removes
    those that were replaced longer ago than `keep_hours`, and that no process here is in.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with alone(folder):
        result = folder / f"{image.name}-{version or image.digest[:12]}{ending}"
        about = result.with_name(f"{result.name}.json")
        made = not (result.exists() and about.exists())
        if made:
            new = folder / f".{image.name}{ending}.new"
            remove(new)
            try:
                make(new)
                write(about, described(engine, image, ending, new))
                remove(result)
                new.rename(result)
            finally:
                remove(new)
        first = not (folder / f"{image.name}{ending}").is_symlink()
        if link(folder / f"{image.name}{ending}", result) and not first:
            for old in versions(folder, image.name, ending):
                if old != result:
                    os.utime(old)  # from now on it is a replaced one
        link(folder / f"{image.name}{ending}.json", about)
        _sweep(folder, image.name, ending, result, keep_hours)
    return made


def described(engine: Engine, image: Image, ending: str, result: Path) -> dict:
    """What is said of a result: what it was made from and when, its packages, a file's size and digest."""
    with mounted(image.digest, engine) as root:
        listed = root / software.PACKAGES_PLACE[1:]
        packages = software.packages(listed.read_text()) if listed.exists() else []
    about = {
        "name": image.name,
        "form": ending.removeprefix(".") or "tree",
        "image": f"sha256:{image.digest}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "labels": dict(sorted(image.labels.items())),
    }
    if result.is_file():
        with result.open("rb") as file:
            about["digest"] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        about["bytes"] = result.stat().st_size
    return {**about, "packages": packages}


def write(path: Path, about: dict) -> None:
    """Write a description, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(about, indent=2) + "\n")
    new.chmod(0o644)
    new.replace(path)


def link(path: Path, target: Path) -> bool:
    """Have a link point at its neighbour, at once; whether it had to change."""
    if path.is_symlink() and os.readlink(path) == target.name:
        return False
    beside = path.with_name(f".{path.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.name)
    beside.replace(path)
    return True


def versions(folder: Path, name: str, ending: str) -> list[Path]:
    """The results of this name and form that are there, whole."""
    found = folder.glob(f"{name}-{'[0-9a-f]' * 12}{ending}")
    return [path for path in found if not path.is_symlink()]


def _sweep(folder: Path, name: str, ending: str, kept: Path, keep_hours: float) -> None:
    used = in_use()
    for old in versions(folder, name, ending):
        aged = time.time() - old.stat().st_mtime > keep_hours * 3600
        if old != kept and aged and not any(is_below(place, old) for place in used):
            remove(old)
            remove(old.with_name(f"{old.name}.json"))


def copy(image: Image, root: Path, new: Path) -> None:
    """Copy an image's root, which then knows its image's digest.

    All is owned by root, readable by all and writable by none of them, without devices and set-id files.
    Raises BuildFailed with what cp said.
    """
    done = subprocess.run(
        ["cp", "-a", "--no-preserve=ownership", str(root), str(new)], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildFailed(f"copying the image failed: {done.stderr.strip()[-500:]}")
    for path, folders, files in os.walk(new):
        os.chmod(path, 0o755)
        before = os.stat(path)
        for name in [*files, *folders]:
            entry = os.path.join(path, name)
            mode = os.lstat(entry).st_mode
            if stat.S_ISREG(mode):
                wanted = 0o755 if mode & 0o111 else 0o644
                if stat.S_IMODE(mode) != wanted:
                    os.chmod(entry, wanted)
            elif not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                os.unlink(entry)
        # The same image gives the same bytes, whatever was left out.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _sign(image, new / software.ABOUT_PLACE[1:])


def _sign(image: Image, place: Path) -> None:
    """Write into the tree which image it was made of, which the image cannot know of itself."""
    if not place.parent.is_dir():
        return
    labels = image.labels
    about = {"recipe": image.name, "revision": labels.get(RECIPE_LABEL, "")}
    about["created"] = labels.get("org.opencontainers.image.created", "")
    about |= json.loads(place.read_text()) if place.exists() else {}
    before = place.parent.stat()
    write(place, about | {"digest": f"sha256:{image.digest}"})
    os.utime(place, (image.created, image.created))
    os.utime(place.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def copied(engine: Engine, image: Image, folder: Path) -> Iterator[Path]:
    """A copy of the image's root as `copy` makes it, or of the unpacked tree, to make something of."""
    scratch, known = folder / f".{image.name}.scratch", folder / f"{image.name}-{image.digest[:12]}"
    remove(scratch)  # of one that was killed
    try:
        scratch.mkdir(mode=0o700)
        tree = scratch / "tree"
        if known.is_dir():
            subprocess.run(["cp", "-al", known, tree], check=True)
        else:
            with mounted(image.digest, engine) as root:
                copy(image, root, tree)
        yield tree
    finally:
        remove(scratch)


@contextmanager
def mounted(image: str, engine: Engine) -> Iterator[Path]:
    """The image's root, read-only; podman mounts images, docker does not. Raises BuildFailed."""
    if engine.program != "podman":
        raise BuildFailed("looking into an image needs podman")

    def podman(*words: str) -> str:
        done = subprocess.run(
            ["podman", "image", *words, image], capture_output=True, text=True, env=engine.environment
        )
        if done.returncode:
            raise BuildFailed(f"podman image {words[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    try:
        yield Path(podman("mount"))
    finally:
        podman("unmount")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for others who make something there."""
    with open(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_use() -> set[str]:
    """Places on this machine that processes have mounted somewhere, have open as a file, or run from."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The fourth word is the mounted directory as its own file system knows it.
            found |= {line.split()[3] for line in (process / "mountinfo").read_text().splitlines()}
            links = [process / "root", process / "exe", *(process / "fd").iterdir()]
        except OSError:
            continue
        for link in links:
            try:
                found.add(os.readlink(link))
            except OSError:
                continue
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    return found | {path.read_text().strip() for path in loops}


def is_below(place: str, result: Path) -> bool:
    """Whether a place is in a tree or a file; the file system's own path may lack the beginning of ours."""
    return f"/{result.parent.name}/{result.name}/" in f"{place}/"


def remove(path: Path) -> None:
    """Remove a tree or a file; it may be gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def run(command: list, log, what: str, **options) -> None:
    """Run a tool, whose words go to the log; raises BuildFailed where it is missing or fails."""
    if shutil.which(command[0]) is None:
        raise BuildFailed(f"{what} failed: {command[0]} is not installed")
    log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, **options)
    if done.returncode:
        raise BuildFailed(f"{what} failed")


def command(form: str, words: str, ending: str, bring, arguments: list[str] | None = None) -> int:
    """A command of one form, whose `bring(engine, NAME, FOLDER, HOURS)` does it; returns its exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m images.{form}", description=words)
    parser.add_argument("name", help="a recipe under images/")
    parser.add_argument("folder", type=Path, help="where the results stand")
    parser.add_argument(
        "--keep-hours",
        type=float,
        default=KEEP_HOURS,
        help="how long a replaced one stays for jobs on other machines (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if os.geteuid():
        print("Only root can do this: the files of an image are to be root's.", file=sys.stderr)
        return 1
    log = IMAGES / f"cache/{form}.log"
    log.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    with log.open("ab", buffering=0) as file:
        try:
            made = bring(find_engine(["podman"], file), options.name, options.folder, options.keep_hours)
        except BuildFailed as error:
            print(f"{error}\nThe whole log: {log}", file=sys.stderr)
            return 1
    said = "made" if made else "up to date"
    place = options.folder / f"{options.name}{ending}"
    print(f"{place} is {said} ({time.monotonic() - began:.1f} s)")
    return 0
