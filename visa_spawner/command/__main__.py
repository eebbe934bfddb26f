"""`visa SUBJECT WORD ...`: what an operator asks of an installation, beside the running hub."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import entry_points

#: Where a room names its subjects: modules with `add_to(subparsers)`, so that none is imported from here.
GROUP = "visa.subjects"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code: 0 all is well, 1 something is wrong, 2 the command itself is."""
    parser = argparse.ArgumentParser(prog="visa", description="Look after an installation of VISA.")
    subjects = parser.add_subparsers(title="subjects", required=True, metavar="SUBJECT")
    for found in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        found.load().add_to(subjects)
    options = parser.parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
