"""One image's recipe: what it is made from, and the hashes that say whether an image is up to date.

A recipe's packages are its software: `base` stands on Debian's root filesystem, every technique on base's
software. What sessions start from is that software with the recipe's files and visa_session.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import yaml

from visa_session import assets

from .engine import BuildFailed

TREE = Path(__file__).resolve().parent.parent
IMAGES = TREE / "images"
BASE = "base"

#: Not a source: bytecode, and the desktop page that visa_session.assets makes from the sources beside it.
MADE = ("__pycache__", "node_modules", "novnc")

#: What every recipe's software is built with, and what puts a session's own part on top of it.
SOFTWARE_STEPS = ("software.Containerfile", "apt.sh", "compile.sh", "python.sh")
SESSION_STEPS = ("session.Containerfile", "finish.sh", "finish.py")
#: The recipe's own part of its software.
PACKAGES = ("apt.txt", "requirements.lock")


def _files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.is_file() and not any(s in p.parts for s in MADE))


def _hash(words: Iterable[str], sources: Iterable[Path]) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sources:
        digest.update(f"\0{path.relative_to(TREE)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def session_setup() -> str:
    """setup.cfg as far as visa_session goes, which alone is installed in an image."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(TREE / "setup.cfg")
    settings["options.packages.find"]["include"] = "\nvisa_session*"
    extras = settings["options.extras_require"]
    for extra in [e for e in extras if e != "session"]:
        del extras[extra]
    data = settings["options.package_data"]
    for package in [p for p in data if p != "visa_session"]:
        del data[package]
    scripts = settings["options.entry_points"]
    kept = [line for line in scripts["console_scripts"].splitlines() if "visa_session." in line]
    scripts["console_scripts"] = "\n" + "\n".join(kept)
    for group in [g for g in scripts if g != "console_scripts"]:
        del scripts[group]
    settings["metadata"].pop("long_description", None)
    settings["metadata"].pop("long_description_content_type", None)
    for section in [s for s in settings if s.startswith("tool:")]:
        del settings[section]
    text = io.StringIO()
    settings.write(text)
    return text.getvalue()


def session_wheel(scratch: Path, log) -> Path:
    """Build visa_session's wheel from this tree, in a directory of its own; gives the wheel."""
    source, wheels = scratch / "source", scratch / "wheels"
    try:
        if not assets.is_built():
            assets.build()
    except assets.BuildFailed as error:
        raise BuildFailed(f"the desktop's page: {error}") from error
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(TREE / "visa_session", source / "visa_session", ignore=ignore)
    shutil.copy(TREE / "pyproject.toml", source)
    (source / "setup.cfg").write_text(session_setup())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--wheel-dir", str(wheels), str(source)]
    if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
        raise BuildFailed("building visa_session's wheel failed")
    (wheel,) = wheels.glob("*.whl")
    return wheel


def blocks(lock: str) -> dict[str, str]:
    """A lock file's entries by the package's name; one with several markers has them all."""
    found: dict[str, str] = {}
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        name = block.partition("==")[0]
        if name != block:
            found[name] = found.get(name, "") + block
    return found


def names() -> list[str]:
    """All recipes there are, base first."""
    found = {path.parent.name for path in IMAGES.glob("*/recipe.yaml")}
    return sorted(found, key=lambda name: (name != BASE, name))


@dataclass(frozen=True)
class About:
    """What recipe.yaml says of an image.

    `icons` maps the name of an icon to the file below site-packages, or the absolute path, that it is;
    `compiled` names the packages of requirements.lock that have no wheel for Linux.
    """

    title: str
    kernel: str
    icons: dict[str, str]
    compiled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The recipe in images/NAME, for one Debian release.

    Raises BuildFailed when there is no such recipe, or when recipe.yaml says something else than it may.
    """

    name: str
    release: str
    official: bool = False

    def __post_init__(self):
        if self.name not in names():
            raise BuildFailed(f"no recipe {self.name!r} under images/: there are {', '.join(names())}")
        if lacking := [name for name in PACKAGES if not (self.directory / name).is_file()]:
            raise BuildFailed(f"images/{self.name} has no {' and no '.join(lacking)}")
        _ = self.about

    @property
    def directory(self) -> Path:
        return IMAGES / self.name

    @property
    def repository(self) -> str:
        return f"localhost/visa/{self.name}"

    @property
    def image(self) -> str:
        """The name that sessions start from."""
        return f"{self.repository}:latest"

    @cached_property
    def about(self) -> About:
        path = self.directory / "recipe.yaml"
        try:
            found = yaml.safe_load(path.read_text())
            about = About(**{"icons": {}, **found})
            about = replace(about, compiled=tuple(about.compiled))
        except (yaml.YAMLError, TypeError) as error:
            raise BuildFailed(f"images/{self.name}/recipe.yaml: {error}") from error
        if not (about.title and about.kernel and isinstance(about.icons, dict)):
            raise BuildFailed(f"images/{self.name}/recipe.yaml: title and kernel are texts, icons a mapping")
        return about

    # Its software -----------------------------------------------------------------------------------
    @property
    def below(self) -> Recipe | None:
        """The recipe whose software this one's stands on; None for base."""
        return None if self.name == BASE else Recipe(BASE, self.release, self.official)

    @property
    def software_hash(self) -> str:
        """Changes with the packages of this recipe and of what it stands on, and with nothing else."""
        words = [self.release, str(self.official), *sorted(self.about.compiled)]
        sources = [IMAGES / "steps" / name for name in SOFTWARE_STEPS]
        sources += [self.directory / name for name in PACKAGES]
        if self.below:
            words.append(self.below.software_hash)
        else:
            sources.append(IMAGES / "root.py")
        return _hash(words, sources)

    @property
    def software_image(self) -> str:
        return f"localhost/visa/software/{self.name}:{self.software_hash[:12]}"

    def stage_software(self, context: Path) -> None:
        """Lay out the build context of the packages."""
        context.mkdir(parents=True)
        for source in [IMAGES / "steps" / name for name in SOFTWARE_STEPS]:
            shutil.copy(source, context)
        shutil.copy(self.directory / "apt.txt", context)
        lock = blocks((self.directory / "requirements.lock").read_text())
        for name, chosen in (("compiled.lock", True), ("requirements.lock", False)):
            text = "".join(block for it, block in lock.items() if (it in self.about.compiled) == chosen)
            (context / name).write_text(text)

    # What sessions start from -----------------------------------------------------------------------
    @property
    def layers(self) -> list[Path]:
        """The directories whose files and applications the image has; the later ones win."""
        return [self.below.directory, self.directory] if self.below else [self.directory]

    @property
    def hash(self) -> str:
        """Changes with anything that this image is made from, and with nothing else."""
        sources = [IMAGES / "steps" / name for name in SESSION_STEPS]
        for layer in self.layers:
            sources += _files(layer / "files") + _files(layer / "applications") + [layer / "recipe.yaml"]
        sources += [*_files(TREE / "visa_session"), TREE / "pyproject.toml"]
        return _hash([self.name, self.software_hash, session_setup()], sources)

    def stage(self, context: Path, wheel: Path, created: str) -> None:
        """Lay out the build context of what stands on the software; `created` is ISO 8601."""
        files, build = context / "files", context / "build"
        (files / "usr/share/applications").mkdir(parents=True)
        (files / "usr/share/pixmaps").mkdir()
        icons: dict[str, str] = {}
        for layer in self.layers:
            if (layer / "files").is_dir():
                shutil.copytree(
                    layer / "files", files, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            for entry in sorted((layer / "applications").glob("*")):
                kind = "applications" if entry.suffix == ".desktop" else "pixmaps"
                shutil.copy(entry, files / "usr/share" / kind)
            icons |= Recipe(layer.name, self.release, self.official).about.icons
        build.mkdir()
        for name in SESSION_STEPS:
            shutil.copy(IMAGES / "steps" / name, context if name.endswith("file") else build)
        shutil.copy(wheel, build)
        said = {
            "image": {
                "recipe": self.name,
                "title": self.about.title,
                "revision": self.hash,
                "created": created,
            },
            "kernel": self.about.kernel,
            "icons": icons,
        }
        (build / "about.json").write_text(json.dumps(said, indent=1, sort_keys=True))
