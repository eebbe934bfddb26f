"""`python -m bench.scale`: one hub from ten sessions to thousands; prints the tables of RESULTS-scale.md.

Prints one JSON object a size, and the table of all at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bench.command import carry_out

from .measure import BRIEF, SHORT, WHOLE, measure
from .report import table

RESULTS = Path(__file__).resolve().parents[1] / "RESULTS-scale.md"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--sizes", default="10,50,500,5000", help="how many sessions, with commas between")
    parser.add_argument("--short", action="store_true", help="minutes in place of a quarter of an hour each")
    parser.add_argument("--brief-below", type=int, default=0, help="a minute and a half for sizes below this")
    parser.add_argument("--quiet", type=float, help="seconds that nobody does anything, in the others")
    parser.add_argument("--people", type=int, help="how many are at work at most")
    parser.add_argument("--database", default="", help="SQLAlchemy address of an empty database (SQLite)")
    return parser.parse_args()


def take(scratch: Path) -> tuple[str, bool]:
    """The tables; never whole: what they mean is written down by hand."""
    arguments, found = options(), []
    for size in map(int, arguments.sizes.split(",")):
        load = os.getloadavg()[1]
        plan = SHORT if arguments.short else WHOLE
        if size < arguments.brief_below:
            plan = BRIEF
        elif arguments.quiet:
            plan = replace(plan, quiet=arguments.quiet)
        if arguments.people:
            plan = replace(plan, most_active=arguments.people)
        one = measure(size, plan, arguments.database) | {"load before": load}
        print(json.dumps(one), flush=True)
        found.append(one)
    return table(found), False


def main() -> int:
    """The command; returns its exit code."""
    # Ends what it has started also when it is told to end itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return carry_out("directories are pinned for sessions that start", take, RESULTS)


if __name__ == "__main__":
    sys.exit(main())
