"""All that is made of the recipes, as far as they have changed: `python -m images.all FOLDER --as FORM`.

The images for the engine of this machine first, several at a time; then, in FOLDER, what each is made into
for others: `tree` and `squashfs` for a cluster's nodes, `sif` for Apptainer, `disk` for virtual machines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from . import build, disk, sif, squash, unpack
from .recipe import names
from .results import KEEP_HOURS

FORMS: dict[str, Callable[[list[str]], int]] = {
    "tree": unpack.main,
    "squashfs": squash.main,
    "sif": sif.main,
    "disk": disk.main,
}


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code. What fails is said, and the others go on."""
    parser = argparse.ArgumentParser(prog="python -m images.all", description=__doc__.partition(":")[0])
    parser.add_argument("folder", type=Path, help="where the results stand")
    parser.add_argument("name", nargs="*", help="recipes under images/ (default: all)")
    parser.add_argument(
        "--as", dest="forms", action="append", choices=FORMS, required=True, help="a form; may be repeated"
    )
    parser.add_argument(
        "--keep-hours", type=float, default=KEEP_HOURS, help="how long replaced results stay (default: 336)"
    )
    options = parser.parse_args(arguments)
    wanted = list(dict.fromkeys(options.name or names()))
    code = build.main(wanted)
    for name in wanted:
        for form in dict.fromkeys(options.forms):
            command = [name, str(options.folder), "--keep-hours", str(options.keep_hours)]
            code = max(code, FORMS[form](command))
    return code


if __name__ == "__main__":
    sys.exit(main())
