"""Run every test; what failed is run once more, by itself and in a fresh process.

    python -m tests.run [what pytest takes]

The tests drive real engines, browsers and daemons on whatever machine this is, and some hold times of
a second. A machine that stalls fails one now and then; a defect fails twice. What needed its second run is
named at the end, so that it does not go unseen.

Most of a test's time is waiting for such a daemon. So, where all tests are run, some run beside others
with which they share nothing: those of starts beside those of images, those of the cluster and of sharing
beside those of login, pages and sessions. All others run alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What runs side by side, one process each, one line after the other; `-` leaves out. Everything else, also
#: what will be added, comes before, alone.
LANES = (
    {"images": ["tests/images"], "starts": ["tests/visa_spawner", "-tests/visa_spawner/slurm"]},
    {
        "pages": [
            *("tests/visa_authenticator", "tests/visa_catalogue"),
            *("tests/visa_portal", "tests/visa_session"),
        ],
        "cluster": ["tests/visa_spawner/slurm", "tests/visa_sharing", "tests/test_run.py"],
    },
)
#: More failures than this are no matter of a stalling machine.
FEW = 8
PASSED, TESTS_FAILED = 0, 1


class Lane:
    """One run of pytest: it knows by itself which of its tests failed.

    Its output goes to a file where it runs beside another, and is shown when it is over.
    """

    def __init__(self, name: str, arguments: list[str], beside: bool = False):
        cache = Path(".pytest_cache", name)
        self.last_failed = ROOT / cache / "v/cache/lastfailed"
        self.last_failed.unlink(missing_ok=True)
        self.output = ROOT / cache / "output.log" if beside else None
        self.begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
        if self.output is None:
            self.process = subprocess.Popen(command, cwd=ROOT)
        else:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with self.output.open("wb") as file:
                self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    def code(self) -> int:
        """Wait for its end; the exit code of pytest."""
        code = self.process.wait()
        if self.output is not None:
            seconds = time.monotonic() - self.begun
            print(f"\nRun beside, {seconds:.0f} s:\n{self.output.read_text(errors='replace')}", flush=True)
        return code

    def failed(self) -> list[str]:
        """The tests that failed, sorted."""
        return sorted(json.loads(self.last_failed.read_text())) if self.last_failed.exists() else []


def run(*runs: Lane) -> tuple[int, list[str]]:
    """Wait for all of them: the worst exit code, and the tests that failed."""
    code = max(one.code() for one in runs)
    return code, [test for one in runs for test in one.failed()]


def first_run(arguments: list[str]) -> tuple[int, list[str]]:
    """What was asked for, or everything in as little time as it takes."""
    if arguments or not all(there(lane) for line in LANES for lane in line.values()):
        return run(Lane("all", arguments))
    apart = sorted({path for line in LANES for lane in line.values() for path in there(lane)})
    worst, failed = run(Lane("alone", [f"--ignore={path}" for path in apart]))
    for line in LANES:
        if worst not in (PASSED, TESTS_FAILED):
            break
        print(f"\nNow side by side: {', '.join(line)}", flush=True)
        *others, shown = line
        beside = [Lane(name, words(line[name]), beside=True) for name in others]
        code, more = run(Lane(shown, words(line[shown])), *beside)
        worst, failed = max(worst, code), failed + more
    return worst, failed


def there(lane: list[str]) -> list[str]:
    """The paths of a lane that this tree has."""
    return [path for path in lane if not path.startswith("-") and (ROOT / path).exists()]


def words(lane: list[str]) -> list[str]:
    """What pytest is told of a lane."""
    return there(lane) + [f"--ignore={path.removeprefix('-')}" for path in lane if path.startswith("-")]


def main(arguments: list[str]) -> int:
    """Run the tests; the exit code of the last run of pytest."""
    code, again = first_run(arguments)
    if code != TESTS_FAILED or not 0 < len(again) <= FEW:
        return code
    print(f"\n{len(again)} failed; run once more, by themselves:", *again, sep="\n  ", flush=True)
    code, twice = run(Lane("again", again))
    verdict = "failed again" if code else "passed when run again, and want to be looked at"
    print(
        f"\nOf the {len(again)} that failed at first, {verdict}:",
        *(twice or again),
        sep="\n  ",
        flush=True,
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
