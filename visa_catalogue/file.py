"""A catalogue kept in one file, for a facility without a catalogue service, for trials and for tests."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from .access import OWN_REASONS, is_open, why_visible
from .account import Account
from .catalogue import Catalogue, CatalogueError, DatasetPage, Page, Query, UnknownExperiment
from .fold import fold
from .model import Dataset, Experiment
from .parse import LINES_SUFFIXES, YAML_SUFFIXES, parse_experiments

log = logging.getLogger(__name__)

#: What tells one state of a file from another without reading it.
Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Contents:
    """One state of the file, newest experiment first, with what every search needs worked out once."""

    experiments: tuple[Experiment, ...]
    folded: tuple[str, ...]
    by_id: dict[str, Experiment]
    datasets: dict[str, tuple[Dataset, ...]]
    _folded_datasets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def folded_datasets(self, experiment_id: str) -> tuple[str, ...]:
        """What a search among an experiment's datasets looks at, worked out when it is first searched."""
        known = self._folded_datasets.get(experiment_id)
        if known is None:
            all_of_it = self.datasets.get(experiment_id, ())
            known = tuple(fold(f"{one.id}\n{one.name}\n{one.technique}") for one in all_of_it)
            self._folded_datasets[experiment_id] = known
        return known


class FileCatalogue(Catalogue):
    """Experiments from one YAML list or JSON-lines file, read again when the file changes.

    The first reading happens here and raises CatalogueError. Later, a file that became unreadable is
    logged and told by `last_error`, and its last good state stays in use.
    """

    #: At most one look at the file in so many seconds.
    check_seconds = 1.0

    def __init__(self, path: Path):
        self.path = path
        if path.suffix not in YAML_SUFFIXES + LINES_SUFFIXES:
            known = ", ".join(YAML_SUFFIXES + LINES_SUFFIXES)
            raise CatalogueError(str(path), f"the name must end in one of {known}")
        self._error: CatalogueError | None = None
        self._signature: Signature | None = None
        self._contents = self._read()
        self._next_check = time.monotonic() + self.check_seconds
        self._checking = False

    @property
    def last_error(self) -> CatalogueError | None:
        return self._error

    async def experiment(self, experiment_id: str) -> Experiment:
        try:
            return (await self._current()).by_id[experiment_id]
        except KeyError:
            raise UnknownExperiment(experiment_id) from None

    async def datasets(self, experiment_id: str, offset: int = 0, limit: int = 100) -> list[Dataset]:
        if offset < 0 or limit < 0:
            raise ValueError("offset and limit must not be negative")
        contents = await self._current()
        if experiment_id not in contents.by_id:
            raise UnknownExperiment(experiment_id)
        return list(contents.datasets.get(experiment_id, ())[offset : offset + limit])

    async def find_datasets(
        self, experiment_id: str, text: str = "", offset: int = 0, limit: int = 50
    ) -> DatasetPage:
        if offset < 0 or limit < 0:
            raise ValueError("offset and limit must not be negative")
        contents = await self._current()
        if experiment_id not in contents.by_id:
            raise UnknownExperiment(experiment_id)
        found = contents.datasets.get(experiment_id, ())
        if words := fold(text).split():
            folded = contents.folded_datasets(experiment_id)
            found = [
                one for one, its in zip(found, folded, strict=True) if all(word in its for word in words)
            ]
        return DatasetPage(datasets=tuple(found[offset : offset + limit]), total=len(found))

    async def search(self, account: Account, query: Query) -> Page:
        return search(await self._current(), account, query, self.today())

    async def _current(self) -> Contents:
        # While one caller waits for the new state, the others go on with the old one.
        if time.monotonic() >= self._next_check and not self._checking:
            self._checking = True
            try:
                await asyncio.to_thread(self._refresh)
            finally:
                self._checking = False
                self._next_check = time.monotonic() + self.check_seconds
        return self._contents

    def _refresh(self) -> None:
        try:
            if _signature(os.stat(self.path)) != self._signature:
                self._contents = self._read()
                self._error = None
                log.info("catalogue %s: %d experiments", self.path, len(self._contents.experiments))
        except CatalogueError as error:
            self._fail(error)
        except OSError as error:
            # So that the same file is read, and the error cleared, once it can be reached again.
            self._signature = None
            self._fail(_unreadable(self.path, error))

    def _fail(self, error: CatalogueError) -> None:
        if str(error) != str(self._error):
            log.error("catalogue keeps its last good state: %s", error)
        self._error = error

    def _read(self) -> Contents:
        try:
            # Non-blocking, so that a named pipe is refused below rather than waited for.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                # Taken before reading: whatever is written meanwhile makes the next look read again.
                self._signature = _signature(status)
                self._refuse_unsafe(status)
                data = file.read()
        except OSError as error:
            self._signature = None
            raise _unreadable(self.path, error) from error
        entries = parse_experiments(data, str(self.path), self.path.suffix)
        # Newest first; equal days in the order of their ids, so that pages never overlap.
        entries.sort(key=lambda e: e.experiment.id)
        entries.sort(key=lambda e: e.experiment.start, reverse=True)
        experiments = tuple(e.experiment for e in entries)
        return Contents(
            experiments=experiments,
            folded=tuple(fold(f"{e.id}\n{e.title}\n{e.proposal}\n{e.instrument}") for e in experiments),
            by_id={e.id: e for e in experiments},
            datasets={e.experiment.id: e.datasets for e in entries if e.datasets},
        )

    def _refuse_unsafe(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise CatalogueError(str(self.path), "is not a plain file")
        # Whoever writes here decides what is bound into sessions.
        if status.st_mode & stat.S_IWOTH:
            raise CatalogueError(str(self.path), "everybody may write to it; run chmod o-w on it")


def search(contents: Contents, account: Account, query: Query, today: date) -> Page:
    """What `Catalogue.search` promises, on one state of the file."""
    words = fold(query.text).split()
    counts: Counter[str] = Counter()
    found: list[Experiment] = []
    for experiment, text in zip(contents.experiments, contents.folded, strict=True):
        if words and not all(word in text for word in words):
            continue
        if query.since and experiment.end < query.since or query.until and experiment.start > query.until:
            continue
        if query.scope == "open" and not is_open(experiment, today):
            continue
        reason = why_visible(account, experiment, today)
        if reason is None or (query.scope == "mine" and reason not in OWN_REASONS):
            continue
        counts[experiment.instrument] += 1
        if not query.instruments or experiment.instrument in query.instruments:
            found.append(experiment)
    return Page(
        experiments=tuple(found[query.offset : query.offset + query.limit]),
        total=len(found),
        instruments=dict(sorted(counts.items())),
    )


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unreadable(path: Path, error: OSError) -> CatalogueError:
    return CatalogueError(str(path), f"cannot be read: {error.strerror or error}")
