"""One image's recipe: what it is made from, and the hash that says whether an image is up to date."""

from __future__ import annotations

import configparser
import hashlib
import io
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from visa_session import assets

from .engine import BuildFailed

TREE = Path(__file__).resolve().parent.parent
IMAGES = TREE / "images"


#: Not a source: bytecode, and the desktop page that visa_session.assets makes from the sources beside it.
MADE = ("__pycache__", "node_modules", "novnc")


def _files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.is_file() and not any(s in p.parts for s in MADE))


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
    settings["metadata"].pop("long_description", None)
    settings["metadata"].pop("long_description_content_type", None)
    for section in [s for s in settings if s.startswith("tool:")]:
        del settings[section]
    text = io.StringIO()
    settings.write(text)
    return text.getvalue()


@dataclass(frozen=True)
class Recipe:
    """The recipe in images/NAME, for one Debian release.

    Raises BuildFailed when there is no such recipe.
    """

    name: str
    release: str
    official: bool = False

    def __post_init__(self):
        if not (self.directory / "Containerfile").is_file():
            known = sorted(p.parent.name for p in IMAGES.glob("*/Containerfile"))
            raise BuildFailed(f"no recipe {self.name!r} under images/: there are {', '.join(known)}")

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

    @property
    def hash(self) -> str:
        """Changes with anything that this image is made from, and with nothing else."""
        digest = hashlib.sha256(f"{self.name}\0{self.release}\0{self.official}\0{session_setup()}".encode())
        sources = _files(self.directory) + _files(IMAGES / "applications") + _files(TREE / "visa_session")
        for path in [*sources, TREE / "pyproject.toml", IMAGES / "root.py"]:
            digest.update(f"\0{path.relative_to(TREE)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def stage(self, context: Path, log) -> None:
        """Lay out the build context: the recipe's own files, the applications, visa_session's wheel."""
        shutil.copytree(self.directory, context, dirs_exist_ok=True)
        shutil.copytree(IMAGES / "applications", context / "applications", dirs_exist_ok=True)
        source = context.with_name("source")
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        try:
            if not assets.is_built():
                assets.build()
        except assets.BuildFailed as error:
            raise BuildFailed(f"the desktop's page: {error}") from error
        shutil.copytree(TREE / "visa_session", source / "visa_session", ignore=ignore)
        shutil.copy(TREE / "pyproject.toml", source)
        (source / "setup.cfg").write_text(session_setup())
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--wheel-dir", str(context / "wheel"), str(source)]
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
            raise BuildFailed("building visa_session's wheel failed")
