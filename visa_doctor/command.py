"""`visa doctor`: joins the command `visa` by the entry point `visa.subjects` (setup.cfg)."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from .finding import Finding, Verdict, worded

#: Seconds, where nobody says otherwise: of all together, and of one check.
WITHIN, EACH = 60.0, 15.0
#: The checks of what ends a hub at its start.
START = ("configuration", "catalogue", "profiles", "slurm", "cluster-access")
#: Characters of a line, where the terminal is wider.
WIDEST = 110


def add_to(subjects) -> None:
    """Join the command line."""
    parser = subjects.add_parser(
        "doctor",
        help="what is wrong with this installation, and how to mend it",
        description="""Look at the whole installation from the hub's machine, and say what is wrong and how to
        mend it. It reads the configuration that the hub would load, with the environment of its service, and
        changes nothing. Where visa-hub.service is installed it needs no option. Exit code: 0 nothing is
        wrong; 1 something is; 2 nothing is known to be wrong, and something could not be checked.""",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the hub's configuration; without it all three are what visa-hub.service says",
    )
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="an environment file of the hub's service; once for each, in the unit's order",
    )
    parser.add_argument("--directory", type=Path, metavar="DIR", help="the service's working directory")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this check; may come again"
    )
    parser.add_argument(
        "--would-start",
        action="store_true",
        help="only whether a hub would end at its start with these settings, profiles and catalogue",
    )
    parser.add_argument("--list", action="store_true", help="say which checks there are")
    parser.add_argument("--all", action="store_true", help="tell what is fine as well, each in a sentence")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument(
        "--within", default=WITHIN, type=float, metavar="SECONDS", help="for all (%(default)g)"
    )
    parser.add_argument(
        "--each", default=EACH, type=float, metavar="SECONDS", help="for a check (%(default)g)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, and print; the exit code."""
    from .table import CHECKS

    if options.list:
        print("\n".join(f"{check.name:16}{check.about}" for check in CHECKS))
        return 0
    if unknown := set(options.only) - {check.name for check in CHECKS}:
        print(f"visa doctor: no such check: {', '.join(sorted(unknown))}; --list has them", file=sys.stderr)
        return 2
    try:
        here = _installation(options)
    except (OSError, ValueError) as error:
        root = "; run it as root" if isinstance(error, PermissionError) else ""
        print(f"visa doctor: {worded(error)}{root}", file=sys.stderr)
        return 2
    only = START if options.would_start else options.only
    checks = [check for check in CHECKS if not only or check.name in only]
    began = time.monotonic()
    findings, late = examined(here, checks, options.within)
    spoken = {one.check for one in findings}
    unused = [check.name for check in checks if check.name not in spoken]
    if options.would_start:
        findings = [one for one in findings if one.stops or one.verdict in (Verdict.UNCHECKED, Verdict.OK)]
    code = _tell(here, findings, unused, time.monotonic() - began, options)
    if late or _somebody_waits():
        # What hangs would be waited for at the end of the process.
        sys.stdout.flush()
        os._exit(code)
    return code


def _installation(options: argparse.Namespace):
    """Raises OSError and ValueError for what the command line names wrongly."""
    from .environment import read_environment
    from .unit import beside, installed

    # What libraries would write beside the report.
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    unit = installed() if options.config is None else None
    config = options.config or (unit.config if unit else Path("jupyterhub_config.py"))
    files = [path.absolute() for path in options.environment or (unit.environment if unit else ())]
    directory = options.directory or (unit.directory if unit else None)
    config = config.absolute()
    for path in files:
        os.environ.update(read_environment(path))
    if directory:
        os.chdir(directory)
    from .installation import Installation

    return Installation(
        config,
        limit=min(options.each, options.within),
        environment_files=files,
        files_beside=beside() if unit else (),
    )


def examined(here, checks, within: float) -> tuple[list[Finding], bool]:
    """All findings in the table's order, and whether something had to be left behind after its time.

    The checks run in a thread: one that stands still in it, whatever it is, cannot keep the report back.
    """
    from .looking import examine

    by_check: dict[str, list[Finding]] = {}
    done = threading.Event()

    def look() -> None:
        async def everything() -> None:
            try:
                await examine(here, checks, by_check.__setitem__)
            finally:
                here.close()
                done.set()

        asyncio.run(everything())

    threading.Thread(target=look, daemon=True).start()
    in_time = done.wait(within)
    late = Finding(Verdict.UNCHECKED, f"There was no answer within {within:g} seconds.")
    found = [
        replace(one, check=check.name)
        for check in checks
        for one in by_check.get(check.name, [late] if not in_time else [])
    ]
    return found, not in_time


def _somebody_waits() -> bool:
    return any(thread is not threading.main_thread() for thread in threading.enumerate())


def _tell(here, findings: list[Finding], unused: list[str], seconds: float, options) -> int:
    from visa_logs.hiding import secrets_of

    from . import report
    from .secrecy import hide

    secrets = secrets_of(os.environ, here.config)
    shown = [replace(one, what=hide(one.what, secrets), mend=hide(one.mend, secrets)) for one in findings]
    url = hide(_url(here), secrets)
    if options.json:
        print(report.as_json(url, shown, seconds, unused))
    else:
        width = min(WIDEST, max(60, shutil.get_terminal_size((WIDEST, 24)).columns))
        print(report.as_text(url, shown, seconds, width, options.all, unused))
        if os.geteuid() != 0:
            print("\nThis was not run as root: some of it may only have been forbidden to look at.")
    return report.exit_code(shown)


def _url(here) -> str:
    try:
        return here.url
    except Exception:
        return ""
