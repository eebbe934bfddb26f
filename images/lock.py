"""Refresh the recipes' lists of Python packages: `python -m images.lock [NAME ...]`.

Each requirements.in below images/ becomes a requirements.lock with the exact version and hashes of each
package, for any Python from 3.11 on: base's with what setup.cfg's extra `session` asks for, a technique's
with what base's lock lacks, at the versions that base's lock has. What changed is printed. What a default
installation has besides goes to bench/plain/plain.lock.
"""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .engine import BuildFailed
from .host import ca_file, pip_settings
from .recipe import BASE, IMAGES, TREE, Recipe, blocks, names

UV = "uv==0.13.9"
#: Debian's, for reading a recipe alone: the locks hold for every release.
RELEASE = "bookworm"

#: Not installed, though silx[full] and pyFAI[gui] ask for it: PyQt6 is in its place.
QT = ("pyside6", "pyside6-addons", "pyside6-essentials", "pyside6-pdf", "pyside6-webengine", "shiboken6")
#: Not installed either: an optional check of jsonschema's that nothing here uses, whose import costs each
#: start over a second. A default installation has it, so the plain image of the figures does.
SLOW = ("rfc3987-syntax", "lark")
#: Nor these, which selkies asks for: no stream has sound, and it is 100 MB.
SOUND = ("pcmflux", "pulsectl", "pulsectl-asyncio")
LEFT_OUT = QT + SLOW + SOUND
HEADER = "# Made by `python -m images.lock` from requirements.in and setup.cfg; do not edit.\n"


def session_requirements() -> str:
    """What visa_session needs, from setup.cfg."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(TREE / "setup.cfg")
    return settings["options.extras_require"]["session"]


def _uv(directory: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    subprocess.run([directory / "bin/pip", "install", "--quiet", UV], check=True)
    return directory / "bin/uv"


def resolve(
    uv: Path,
    wanted: str,
    left_out: tuple[str, ...],
    fixed: str = "",
    overrides: Path | None = None,
    compiled: tuple[str, ...] = (),
) -> str:
    """The lock file's text for some requirements, with those versions that `fixed` (a lock file) has.

    `overrides` holds requirements that stand for whatever packages ask of those they name. Only the
    `compiled` packages may come as source. Raises BuildFailed with the end of what uv says when the
    requirements contradict each other.
    """
    with tempfile.TemporaryDirectory(prefix="visa-lock-") as scratch:
        source, output = Path(scratch, "requirements.in"), Path(scratch, "requirements.lock")
        source.write_text(wanted)
        command = [uv, "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
        command += ["--python-version", "3.11", "--generate-hashes"]
        command += [str(source), "-o", str(output)]
        if fixed:
            constraints = Path(scratch, "constraints.txt")
            constraints.write_text("\n".join(pins(fixed)))
            command += ["--constraint", str(constraints)]
        if overrides and overrides.exists():
            command += ["--override", str(overrides)]
        command += [a for name in left_out for a in ("--no-emit-package", name)]
        index = pip_settings().get("index-url")
        command += ["--default-index", index] if index else []
        environment = {"SSL_CERT_FILE": str(ca_file()), "PATH": "/usr/bin:/bin", "HOME": scratch}

        def run(*sources: str) -> str:
            done = subprocess.run(
                [*command, *sources], check=False, env=environment, stderr=subprocess.PIPE, text=True
            )
            if done.returncode:
                raise BuildFailed(done.stderr.strip()[-2000:])
            return output.read_text()

        if not compiled:
            return run("--no-build")
        # uv knows no "all but these": a first look says what all is.
        others = [name for name in blocks(run()) if name not in compiled]
        return run(*(word for name in others for word in ("--only-binary", name)))


def pins(text: str) -> list[str]:
    """A lock file's `name==version ; marker` without hashes; a package may have several."""
    return [line.rstrip("\\ ") for line in re.findall(r"^[a-z0-9][^=\n]*==.*$", text, re.MULTILINE)]


def versions(text: str) -> dict[str, str]:
    """The versions in a lock file by the package's name, with their markers."""
    found: dict[str, str] = {}
    for name, _, version in (pin.partition("==") for pin in pins(text)):
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def entries(text: str, chosen: Callable[[str], bool]) -> str:
    """The entries of a lock file whose names are chosen."""
    return "".join(block for name, block in blocks(text).items() if chosen(name))


def changes(before: str, after: str) -> list[str]:
    """What is new, gone or another version in a lock file: `name: old -> new`."""
    old, new = versions(before), versions(after)
    return [
        f"{name}: {old.get(name, 'not there')} -> {new.get(name, 'not there')}"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def write(lock: Path, text: str) -> None:
    """Write a lock file and print what changed in it."""
    before = lock.read_text() if lock.exists() else ""
    lock.write_text(HEADER + text)
    changed = changes(before, text)
    print(
        f"{lock.relative_to(TREE)}: {len(changed)} changed"
        if changed
        else f"{lock.relative_to(TREE)}: the same"
    )
    print(*(f"  {line}" for line in changed), sep="\n", end="\n" if changed else "", flush=True)


def refresh(uv: Path, name: str) -> None:
    """Make a recipe's lock anew, and with base's the plain image's."""
    directory = IMAGES / name
    wanted = session_requirements() + "\n" + (IMAGES / BASE / "requirements.in").read_text()
    if name == BASE:
        write(directory / "requirements.lock", resolve(uv, wanted, LEFT_OUT))
        plain = resolve(uv, wanted, QT, (directory / "requirements.lock").read_text())
        write(TREE / "bench/plain/plain.lock", entries(plain, lambda name: name in SLOW))
        return
    fixed = (IMAGES / BASE / "requirements.lock").read_text()
    own = (directory / "requirements.in").read_text()
    there = versions(fixed)
    compiled = Recipe(name, RELEASE).about.compiled
    found = resolve(uv, f"{wanted}\n{own}", LEFT_OUT, fixed, directory / "overrides.txt", compiled)
    # With its markers: what base has for Windows alone is not there.
    wanted = versions(found)
    write(directory / "requirements.lock", entries(found, lambda name: wanted[name] != there.get(name)))


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m images.lock", description=__doc__.partition(":")[0])
    parser.add_argument("name", nargs="*", help="recipes under images/ (default: all, base first)")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.name) - set(names())):
        parser.error(f"no recipe {', '.join(unknown)}: there are {', '.join(names())}")
    with tempfile.TemporaryDirectory(prefix="visa-lock-") as scratch:
        uv = _uv(Path(scratch, "uv"))
        for name in [it for it in names() if it in (options.name or names())]:
            try:
                refresh(uv, name)
            except BuildFailed as error:
                print(f"images/{name}/requirements.in: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
