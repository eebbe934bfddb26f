"""Refresh the recipes' lists of Python packages: `python -m images.lock`.

Every requirements.in below images/ and bench/, with what setup.cfg's extra `session` asks for, becomes
a requirements.lock with the exact version and hashes of each package, for any Python from 3.11 on.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import tempfile
from pathlib import Path

from .host import ca_file, pip_settings
from .recipe import IMAGES, TREE

UV = "uv==0.13.9"

#: Not installed, though something asks for them. Qt: its essentials are enough. rfc3987-syntax: an
#: optional check of jsonschema's that nothing here uses, whose import costs each start over a second.
LEFT_OUT = ("pyside6", "pyside6-addons", "pyside6-pdf", "pyside6-webengine", "rfc3987-syntax", "lark")
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


def lock(source: Path, left_out: tuple[str, ...] = LEFT_OUT) -> Path:
    """Write the lock file beside `source` and return its path."""
    with tempfile.TemporaryDirectory(prefix="visa-lock-") as scratch:
        wanted = Path(scratch, "requirements.in")
        wanted.write_text(session_requirements() + "\n" + source.read_text())
        output = Path(scratch, "requirements.lock")
        command = [_uv(Path(scratch, "uv")), "pip", "compile", "--quiet", "--universal", "--no-header"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-annotate"]
        command += [a for name in left_out for a in ("--no-emit-package", name)]
        index = pip_settings().get("index-url")
        command += ["--default-index", index] if index else []
        environment = {"SSL_CERT_FILE": str(ca_file()), "PATH": "/usr/bin:/bin", "HOME": scratch}
        subprocess.run([*command, str(wanted), "-o", str(output)], check=True, env=environment)
        target = source.with_suffix(".lock")
        target.write_text(HEADER + output.read_text())
    return target


def main() -> int:
    for source in sorted(IMAGES.glob("*/requirements.in")):
        print(lock(source).relative_to(TREE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
