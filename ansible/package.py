"""What the playbooks install, in dist/: VISA's wheel, and the recipes of its images.

    python ansible/package.py

The same tree gives the same files, byte by byte, so that a run without changes changes nothing anywhere.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPES = "visa-images.tar.gz"
#: What a wheel is made of, beside the packages.
ABOUT = ("setup.cfg", "pyproject.toml", "README.md")
#: What building an image takes.
BUILDING = ("images", "visa_session", "setup.cfg", "pyproject.toml")
LEFT_OUT = ("__pycache__", "node_modules", "cache")


def epoch(tree: Path) -> str:
    """The time that all files get: that of the tree's commit, where it has one."""
    command = ["git", "-C", str(tree), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True)
    # The zip format knows no time before 1980.
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else "315532800"


def wheel(tree: Path, dist: Path) -> Path:
    """Build the tree's wheel into `dist`; gives it. Raises CalledProcessError with what pip said."""
    dist.mkdir(parents=True, exist_ok=True)
    for old in dist.glob("visa_jupyterhub-*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="visa-package-") as scratch:
        # A copy: building in the tree would leave its own files there, and find those of the last time.
        source = Path(scratch, "source")
        source.mkdir()
        for package in sorted(tree.glob("visa_*")):
            shutil.copytree(package, source / package.name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for name in ABOUT:
            shutil.copy(tree / name, source)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--wheel-dir", str(dist), str(source)],
            check=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": epoch(tree)},
        )
    (made,) = dist.glob("visa_jupyterhub-*.whl")
    return made


def recipes(tree: Path, dist: Path) -> Path:
    """Pack what building images takes into `dist`; gives the archive."""
    dist.mkdir(parents=True, exist_ok=True)
    content, moment = io.BytesIO(), int(epoch(tree))
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in files(tree):
            it = tar.gettarinfo(path, str(path.relative_to(tree)))
            it.uid = it.gid = 0
            it.uname = it.gname = "root"
            it.mtime, it.mode = moment, 0o755 if it.mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(it, file)
    target = dist / RECIPES
    target.write_bytes(gzip.compress(content.getvalue(), mtime=moment))
    return target


def files(tree: Path) -> Iterator[Path]:
    """The files that building takes, in an order that does not change."""
    for name in BUILDING:
        top = tree / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and not set(LEFT_OUT) & set(path.relative_to(tree).parts):
                yield path


def main() -> None:
    # The desktop's page, which is in the wheel, comes from npm.
    subprocess.run([sys.executable, "-m", "visa_session.assets"], cwd=ROOT, check=True)
    for made in (wheel(ROOT, ROOT / "dist"), recipes(ROOT, ROOT / "dist")):
        print(f"{made.relative_to(ROOT)}, {made.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
