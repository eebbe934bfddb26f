"""The session's passport: read for who wants to see it, and left beside the results when the session stops.

Only the standard library: the parent process leaves it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from .contract import PASSPORT, SessionInfo

#: The folder in an experiment's processed data.
FOLDER = "visa-passports"
#: Bytes of the largest one that is read: a long list of packages has 200,000.
LARGEST = 5_000_000


class NoPassport(Exception):
    """There is none to show; the text is a sentence for who asked for it."""


def read(path: str = PASSPORT) -> tuple[bytes, dict]:
    """The passport as it is written, and what it says; raises NoPassport."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        values = json.loads(content)
    except FileNotFoundError as error:
        raise NoPassport("Nothing was written down of what this session was started with.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise NoPassport(f"What this session was started with cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise NoPassport("What this session was started with cannot be read: it is no passport.")
    return content, values


def leave(info: SessionInfo, path: str = PASSPORT) -> None:
    """Put the passport beside each experiment's results, where the site wishes it; says what did not work."""
    if not info.passport_in_processed:
        return
    try:
        content, values = read(path)
        name = file_name(values, info.name)
    except NoPassport as reason:
        print(f"visa-session: no passport is left beside the results: {reason}", file=sys.stderr, flush=True)
        return
    for experiment in info.experiments:
        if not experiment.processed:
            continue
        try:
            put(Path(experiment.processed), name, content)
        except OSError as error:
            words = f"visa-session: no passport is left in {experiment.processed}: {error.strerror}"
            print(words, file=sys.stderr, flush=True)


def file_name(values: dict, session: str) -> str:
    """`<started>-<session>.json`, nothing of it a path; raises NoPassport where it says no start."""
    try:
        started = datetime.fromisoformat(values["started"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise NoPassport("it does not say when the session was started.") from error
    return f"{started:%Y%m%dT%H%M%SZ}-{re.sub(r'[^A-Za-z0-9-]', '', session) or 'default'}.json"


def put(processed: Path, name: str, content: bytes) -> None:
    """Make the file anew, the folder too where it is not there; one of that name stays. Raises OSError.

    Each step goes from the directory that the last one opened, and none through a link: others of the team
    write there too. A file that does not get whole is taken away.
    """
    directory = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    above = os.open(processed, directory)
    folder = None
    try:
        try:
            os.mkdir(FOLDER, 0o700, dir_fd=above)
            new = True
        except FileExistsError:
            new = False
        folder = os.open(FOLDER, directory, dir_fd=above)
        if new:  # as open to the team as what it stands in
            os.fchmod(folder, os.fstat(above).st_mode & 0o2775 | 0o700)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(name, flags, 0o444, dir_fd=folder)
        except FileExistsError:
            return
        try:
            with open(file, "wb") as writing:
                writing.write(content)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
    finally:
        for descriptor in (folder, above):
            if descriptor is not None:
                os.close(descriptor)
