"""Run every test; what failed is run once more, by itself and in a fresh process.

    python -m tests.run [what pytest takes]

The tests drive real engines, browsers and daemons on whatever machine this is, and some hold times of
a second. A machine that stalls fails one now and then; a defect fails twice. What needed its second run is
named at the end, so that it does not go unseen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAST_FAILED = ROOT / ".pytest_cache/v/cache/lastfailed"

#: More failures than this are no matter of a stalling machine.
FEW = 8
TESTS_FAILED = 1


def pytest(*arguments: str) -> int:
    """Run pytest here; its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode


def failed() -> list[str]:
    """The tests that failed in the last run, sorted."""
    return sorted(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else []


def main(arguments: list[str]) -> int:
    """Run the tests; the exit code of the last run of pytest."""
    LAST_FAILED.unlink(missing_ok=True)
    code = pytest(*arguments)
    again = failed()
    if code != TESTS_FAILED or not 0 < len(again) <= FEW:
        return code
    print(f"\n{len(again)} failed; run once more, by themselves:", *again, sep="\n  ", flush=True)
    code = pytest("--last-failed", "--last-failed-no-failures=none", *arguments)
    verdict = "failed again" if code else "passed when run again, and want to be looked at"
    print(
        f"\nOf the {len(again)} that failed at first, {verdict}:",
        *(failed() or again),
        sep="\n  ",
        flush=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
