"""`visa SUBJECT WORD ...`: what an operator asks of an installation, beside the running hub."""

from __future__ import annotations

import argparse
import sys

from . import profiles

SUBJECTS = (profiles,)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code: 0 all is well, 1 something is wrong, 2 the command itself is."""
    parser = argparse.ArgumentParser(prog="visa", description="Look after an installation of VISA.")
    subjects = parser.add_subparsers(title="subjects", required=True, metavar="SUBJECT")
    for subject in SUBJECTS:
        subject.add_to(subjects)
    options = parser.parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
