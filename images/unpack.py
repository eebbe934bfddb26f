"""An image as a directory tree, for nodes that have no engine: `python -m images.unpack [NAME] FOLDER`.

`FOLDER/NAME` is a link to the newest tree, which changes only when the image has. All in it is root's and can
be read by everybody; nothing can be written to or makes whoever runs it somebody else.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .engine import BuildFailed, Engine, find_engine
from .recipe import IMAGES
from .root import RECIPE_LABEL

#: Replaced trees stay that long for jobs on other machines, which nobody here sees: the longest session.
KEEP_HOURS = 24 * 14


def unpack(engine: Engine, name: str, folder: Path, keep_hours: float = KEEP_HOURS) -> bool:
    """Bring `folder/name` up to date with the image that sessions start from; whether it had to be made.

    Removes trees that nobody uses any more. Needs root. Raises BuildFailed in words.
    """
    image = f"localhost/visa/{name}:latest"
    mark = engine.label(image, RECIPE_LABEL)
    if not mark:
        raise BuildFailed(f"there is no image {image}: run `python -m images.build {name}`")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with alone(folder):
        tree, link = folder / f"{name}-{mark[:12]}", folder / name
        made = not tree.is_dir()
        if made:
            new = folder / f".{name}.new"
            remove(new)
            with mounted(image, engine) as root:
                copy(root, new)
            new.rename(tree)
        if not link.is_symlink() or os.readlink(link) != tree.name:
            beside = folder / f".{name}.link"
            beside.unlink(missing_ok=True)
            beside.symlink_to(tree.name)
            beside.replace(link)
            for old in trees(folder, name):
                if old != tree:
                    os.utime(old)  # from now on it is a replaced one
        used = in_use()
        for old in trees(folder, name):
            aged = time.time() - old.stat().st_mtime > keep_hours * 3600
            if old != tree and aged and not any(is_below(place, old) for place in used):
                remove(old)
    return made


def trees(folder: Path, name: str) -> list[Path]:
    """The image's trees that are there, whole."""
    found = folder.glob(f"{name}-{'[0-9a-f]' * 12}")
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def copy(root: Path, new: Path) -> None:
    """Copy an image's root: owned by root, readable by all, writable by none of them; no device, no setuid.

    Raises BuildFailed with what cp said.
    """
    done = subprocess.run(
        ["cp", "-a", "--no-preserve=ownership", str(root), str(new)], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildFailed(f"copying the image failed: {done.stderr.strip()[-500:]}")
    for path, folders, files in os.walk(new):
        os.chmod(path, 0o755)
        for name in [*files, *folders]:
            entry = os.path.join(path, name)
            mode = os.lstat(entry).st_mode
            if stat.S_ISREG(mode):
                wanted = 0o755 if mode & 0o111 else 0o644
                if stat.S_IMODE(mode) != wanted:
                    os.chmod(entry, wanted)
            elif not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                os.unlink(entry)


@contextmanager
def mounted(image: str, engine: Engine) -> Iterator[Path]:
    """The image's root, read-only; podman mounts images, docker does not. Raises BuildFailed."""
    if engine.program != "podman":
        raise BuildFailed("unpacking an image needs podman")

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
    """Wait for others who unpack there."""
    with open(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_use() -> set[str]:
    """Places on this machine that processes have mounted somewhere, or run from."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The fourth word is the mounted directory as its own file system knows it.
            found |= {line.split()[3] for line in (process / "mountinfo").read_text().splitlines()}
            found |= {os.readlink(process / "root"), os.readlink(process / "exe")}
        except OSError:
            continue
    return found


def is_below(place: str, tree: Path) -> bool:
    """Whether a place is in a tree; the file system's own path may lack the beginning of ours."""
    return f"/{tree.parent.name}/{tree.name}/" in f"{place}/"


def remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m images.unpack", description=__doc__.partition(":")[0])
    parser.add_argument("name", help="a recipe under images/")
    parser.add_argument("folder", type=Path, help="where the trees stand")
    parser.add_argument(
        "--keep-hours",
        type=float,
        default=KEEP_HOURS,
        help="how long a replaced tree stays for jobs on other machines (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if os.geteuid():
        print("Only root can unpack an image: its files are to be root's.", file=sys.stderr)
        return 1
    log = IMAGES / "cache/unpack.log"
    log.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    with log.open("ab", buffering=0) as file:
        try:
            made = unpack(find_engine(["podman"], file), options.name, options.folder, options.keep_hours)
        except BuildFailed as error:
            print(error, file=sys.stderr)
            return 1
    words = "unpacked" if made else "up to date"
    print(f"{options.folder / options.name} is {words} ({time.monotonic() - began:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
