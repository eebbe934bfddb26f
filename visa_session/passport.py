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

from .contract import EXPERIMENTS_ROOT, PASSPORT, SessionInfo

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
        copies = [(where, part(content, values, one)) for one, where in results_of(info, values).items()]
    except NoPassport as reason:
        print(f"visa-session: no passport is left beside the results: {reason}", file=sys.stderr, flush=True)
        return
    for processed, copy in copies:
        if not processed:
            continue
        try:
            put(Path(processed), name, copy)
        except OSError as error:
            words = f"visa-session: no passport is left in {processed}: {error.strerror}"
            print(words, file=sys.stderr, flush=True)


def results_of(info: SessionInfo, values: dict) -> dict[str, str]:
    """The experiments of the passport and where the results of each are, "" where it keeps none.

    Some may have come after the start, when there is only the short way to ask; raises NoPassport.
    """
    known = {one.id: one.processed for one in info.experiments}
    try:
        ids = [one["id"] for one in values["experiments"]]
    except (KeyError, TypeError) as error:
        raise NoPassport("it does not say which of it is of which experiment.") from error
    return {one: known[one] if one in known else _short_way(one) for one in ids}


def _short_way(experiment: str) -> str:
    try:
        return os.readlink(f"{EXPERIMENTS_ROOT}/{experiment}/processed")
    except (OSError, ValueError):
        return ""


def file_name(values: dict, session: str) -> str:
    """`<started>-<session>.json`, nothing of it a path; raises NoPassport where it says no start."""
    try:
        started = datetime.fromisoformat(values["started"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise NoPassport("it does not say when the session was started.") from error
    return f"{started:%Y%m%dT%H%M%SZ}-{re.sub(r'[^A-Za-z0-9-]', '', session) or 'default'}.json"


def part(content: bytes, values: dict, experiment: str) -> bytes:
    """The passport as one experiment's team may read it, with nothing of the session's other experiments.

    As it is written where it names no other. Raises NoPassport where it cannot be taken apart.
    """
    try:
        entries, options = values["experiments"], values["options"]
        if {one["id"] for one in entries} | set(options.get("experiments", ())) <= {experiment}:
            return content
        own = [one for one in entries if one["id"] == experiment]
        datasets = {dataset["id"] for one in own for dataset in one["datasets"]}
        chosen = [dataset for dataset in options.get("datasets", ()) if dataset in datasets]
    except (KeyError, TypeError, AttributeError) as error:
        raise NoPassport("it does not say which of it is of which experiment.") from error
    options = options | {"experiments": [experiment], "datasets": chosen}
    copy = values | {"experiments": own, "options": options}
    return (json.dumps(copy, ensure_ascii=False, indent=1) + "\n").encode()


def put(processed: Path, name: str, content: bytes) -> None:
    """Make the file anew, the folder too where it is not there; one of that name stays. Raises OSError.

    Each step goes from the directory that the last one opened, and none through a link: others of the team
    write there too, and may swap what was made before it is opened. So no mode is ever changed. A file that
    does not get whole is taken away.
    """
    directory = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    above = os.open(processed, directory)
    folder = None
    try:
        make_folder(above)
        folder = os.open(FOLDER, directory, dir_fd=above)
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


def make_folder(above: int) -> None:
    """Make the folder where it is not there, as open to the team as what it stands in. Raises OSError.

    Its group and set-group-id come from the directory above. Only for a process without other threads.
    """
    mask = os.umask(0)
    try:
        os.mkdir(FOLDER, os.fstat(above).st_mode & 0o775 | 0o700, dir_fd=above)
    except FileExistsError:
        pass
    finally:
        os.umask(mask)
