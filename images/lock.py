"""Refresh the recipes' lists of Python packages: `python -m images.lock`.

Every requirements.in below images/, with what setup.cfg's extra `session` asks for, becomes a
requirements.lock with the exact version and hashes of each package, for any Python from 3.11 on. What a
default installation has besides goes to bench/plain/plain.lock.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .host import ca_file, pip_settings
from .recipe import IMAGES, TREE

UV = "uv==0.13.9"

#: Not installed, though silx[full] asks for all of them: Qt's essentials are enough.
QT = ("pyside6", "pyside6-addons", "pyside6-pdf", "pyside6-webengine")
#: Not installed either: an optional check of jsonschema's that nothing here uses, whose import costs each
#: start over a second. A default installation has it, so the plain image of the figures does.
SLOW = ("rfc3987-syntax", "lark")
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


def resolve(uv: Path, source: Path, left_out: tuple[str, ...]) -> str:
    """The lock file's text for a requirements.in.

    Raises subprocess.CalledProcessError when the requirements contradict each other.
    """
    with tempfile.TemporaryDirectory(prefix="visa-lock-") as scratch:
        wanted, output = Path(scratch, "requirements.in"), Path(scratch, "requirements.lock")
        wanted.write_text(session_requirements() + "\n" + source.read_text())
        command = [uv, "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
        command += ["--python-version", "3.11", "--generate-hashes", str(wanted), "-o", str(output)]
        command += [a for name in left_out for a in ("--no-emit-package", name)]
        index = pip_settings().get("index-url")
        command += ["--default-index", index] if index else []
        environment = {"SSL_CERT_FILE": str(ca_file()), "PATH": "/usr/bin:/bin", "HOME": scratch}
        subprocess.run(command, check=True, env=environment)
        return output.read_text()


def entries(text: str, names: tuple[str, ...]) -> str:
    """Those packages' entries of a lock file."""
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return "".join(block for block in blocks if block.partition("==")[0] in names)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="visa-lock-") as scratch:
        uv = _uv(Path(scratch, "uv"))
        for source in sorted(IMAGES.glob("*/requirements.in")):
            source.with_suffix(".lock").write_text(HEADER + resolve(uv, source, QT + SLOW))
        text = resolve(uv, IMAGES / "base/requirements.in", QT)
        (TREE / "bench/plain/plain.lock").write_text(HEADER + entries(text, SLOW))
    return 0


if __name__ == "__main__":
    sys.exit(main())
