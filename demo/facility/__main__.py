"""Command line: `python -m demo.facility --data /data/visitor --homes /data/home --out DIR`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .make import make_facility
from .tree import NotOurs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.facility", description="Make the demo's facility.")
    parser.add_argument("--data", type=Path, required=True, help="root of the experiments' data, made here")
    parser.add_argument("--homes", type=Path, required=True, help="root of the accounts' homes, made here")
    parser.add_argument(
        "--out", type=Path, required=True, help="where accounts.json and experiments.jsonl go"
    )
    options = parser.parse_args()
    began = time.monotonic()
    try:
        make_facility(options.data, options.homes, options.out, say=lambda words: print(words, flush=True))
    except (NotOurs, PermissionError, ValueError) as error:
        print(f"the demo's facility cannot be made: {error}", file=sys.stderr)
        return 1
    print(f"the demo's facility stands, after {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
