"""Run every test; what failed is run once more, by itself and in a fresh process.

    python -m tests.run [what pytest takes]

The tests drive real engines, browsers and daemons on whatever machine this is, and some hold times of
a second. A machine that stalls fails one now and then; a defect fails twice. What needed its second run is
named at the end, so that it does not go unseen.

Most of a test's time is waiting for such a daemon. So, where all tests are run, they run in parts, each a
pytest of its own, some of them side by side; the images are built beside those that need none. What no part
names comes first, alone. How a new test gets along with that: docs/developers/testing.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: How many parts run at a time: one more than the processors of the machine that this has to fit, since
#: tests wait for much of their time.
AT_A_TIME = 3
#: More failures than this are no matter of a stalling machine: one login that fails takes the eight tests
#: with it that share a deployed site.
FEW = 12
PASSED, TESTS_FAILED, NO_TESTS = 0, 1, 5


@dataclass(frozen=True)
class Part:
    """What runs as one process: one pytest on `paths`, of which `-PATH` is left out, or a command.

    It begins when all parts named in `after` have passed, and when no other part runs that `holds` what
    this one does.
    """

    name: str
    paths: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    holds: frozenset[str] = frozenset()

    def there(self) -> list[str]:
        """The paths that this tree has."""
        return [path for path in self.paths if not path.startswith("-") and (ROOT / path).exists()]

    def words(self) -> list[str]:
        """What pytest is told."""
        left_out = [f"--ignore={path.removeprefix('-')}" for path in self.paths if path.startswith("-")]
        return self.there() + left_out


#: This machine's own podman, whose images some tests build, list and remove.
ENGINE = frozenset({"engine"})
#: The processors, by what takes them for minutes, and by what looks at moments.
PROCESSORS = frozenset({"processors"})
#: In the order in which they begin: what others wait for, then the longest, so that none is left over.
PARTS = (
    Part("build", command=("-m", "images.build", "base", "general", "tomography", "powder", "fluorescence")),
    Part("services", command=("-m", "tests.openstack_cloud.environment")),
    Part("containers", ("tests/visa_spawner/backends",)),
    # Needs no image, and the processors: while the images are built, no other part may have these yet.
    Part("cloud", ("tests/openstack_cloud",), after=("services",), holds=PROCESSORS),
    Part("portal", ("tests/visa_portal",)),
    Part("cluster", ("tests/visa_spawner/slurm",), after=("build",)),
    Part("session", ("tests/visa_session",), after=("build",), holds=PROCESSORS),
    Part("images", ("tests/images",), after=("build",), holds=ENGINE),
    Part("deployment", ("tests/ansible",), after=("build",), holds=PROCESSORS),
    Part("e2e", ("tests/e2e",), after=("build",), holds=ENGINE),
    Part("machines", ("tests/visa_spawner/vm",), after=("build",)),
    Part(
        "starts",
        ("tests/visa_spawner", *(f"-tests/visa_spawner/{name}" for name in ("backends", "slurm", "vm"))),
    ),
    Part("sharing", ("tests/visa_sharing", "tests/test_run.py")),
    Part(
        "login", ("tests/visa_authenticator", "tests/visa_catalogue", "tests/visa_doctor", "tests/visa_logs")
    ),
    Part("demo", ("tests/demo", "tests/bench"), holds=ENGINE),
)


class Run:
    """One process, begun: pytest knows by itself which of its tests failed.

    Its output goes to a file where others run beside it, and is shown when it is over.
    """

    def __init__(self, name: str, arguments: list[str], command: tuple[str, ...] = (), beside: bool = False):
        self.name, self.shown = name, not beside
        cache = Path(".pytest_cache", name)
        self.last_failed = ROOT / cache / "v/cache/lastfailed"
        self.last_failed.unlink(missing_ok=True)
        self.output = ROOT / cache / "output.log"
        self.begun = time.monotonic()
        words = [sys.executable, *(command or ("-m", "pytest", "-o", f"cache_dir={cache}", *arguments))]
        if self.shown:
            self.process = subprocess.Popen(words, cwd=ROOT)
        else:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            with self.output.open("wb") as file:
                self.process = subprocess.Popen(words, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    def over(self) -> bool:
        return self.process.poll() is not None

    def code(self) -> int:
        """Wait for its end, and show what was not shown; the exit code."""
        code = self.process.wait()
        if not self.shown:
            seconds = time.monotonic() - self.begun
            said = self.output.read_text(errors="replace")
            print(f"\n{self.name}, {seconds:.0f} s:\n{said}", flush=True)
        return code

    def failed(self) -> list[str]:
        """The tests that failed, sorted."""
        return sorted(json.loads(self.last_failed.read_text())) if self.last_failed.exists() else []


def first_run(arguments: list[str]) -> tuple[int, list[str]]:
    """What was asked for, or everything in as little time as it takes."""
    parts = [part for part in PARTS if part.command or part.there()]
    if arguments or not any(part.paths for part in parts):
        only = Run("all", arguments)
        return only.code(), only.failed()
    named = sorted({path for part in parts for path in part.there()})
    alone = Run("alone", [f"--ignore={path}" for path in named])
    worst, failed = alone.code(), alone.failed()
    if worst == NO_TESTS:  # the parts name them all
        worst = PASSED
    if worst not in (PASSED, TESTS_FAILED):
        return worst, failed
    code, more = side_by_side(parts)
    return max(worst, code), failed + more


def side_by_side(parts: list[Part]) -> tuple[int, list[str]]:
    """Run the parts, some at a time: the worst exit code, and the tests that failed.

    A part that is no test run and fails ends it, as does one whose tests cannot be read: no other begins.
    """
    waiting, running, passed = list(parts), {}, set()
    worst, failed = PASSED, []
    while running or (waiting and worst in (PASSED, TESTS_FAILED)):
        if worst in (PASSED, TESTS_FAILED):
            for part in may_begin(waiting, running, passed):
                waiting.remove(part)
                print(f"{time.strftime('%H:%M:%S')}  {part.name} begins", flush=True)
                running[part] = Run(part.name, part.words(), part.command, beside=True)
        ended = [part for part, run in running.items() if run.over()]
        for part in ended:
            run = running.pop(part)
            code = run.code()
            failed += run.failed()
            # A command's 1 is no failed test, and what waits for it cannot begin.
            worst = max(worst, code if part.paths or code == PASSED else TESTS_FAILED + 1)
            passed.add(part.name)
        if not ended:
            time.sleep(0.2)  # between two looks at the processes
    return worst, failed


def may_begin(waiting: list[Part], running: dict[Part, Run], done: set[str]) -> list[Part]:
    """Which of those that wait begin now, beside those that run."""
    found, there = [], {part.name for part in (*waiting, *running)}
    held = {thing for part in running for thing in part.holds}
    for part in waiting:
        free = len(running) + len(found) < AT_A_TIME
        # What this tree has not is not waited for.
        ready = all(name in done or name not in there for name in part.after)
        if free and ready and not part.holds & held:
            found.append(part)
            held |= part.holds
    return found


def main(arguments: list[str]) -> int:
    """Run the tests; the exit code of the last run of pytest."""
    code, again = first_run(arguments)
    if code != TESTS_FAILED or not 0 < len(again) <= FEW:
        return code
    print(f"\n{len(again)} failed; run once more, by themselves:", *again, sep="\n  ", flush=True)
    second = Run("again", again)
    code, twice = second.code(), second.failed()
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
