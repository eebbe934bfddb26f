"""What every catalogue offers, wherever its experiments come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .access import why_visible
from .account import Account
from .model import Dataset, Day, Experiment


class UnknownExperiment(LookupError):
    """There is no such experiment, or the account may not see it: nobody is told which of the two."""

    def __init__(self, experiment_id: str):
        super().__init__(f"there is no experiment {experiment_id!r} that you may see")
        self.experiment_id = experiment_id


class CatalogueError(Exception):
    """The catalogue cannot be read, in words for the operator.

    `line` (counted from 1) and `field` say where in the source, as far as it is known.
    """

    def __init__(self, source: str, problem: str, *, line: int | None = None, field: str = ""):
        where = source + (f", line {line}" if line else "") + (f", {field}" if field else "")
        super().__init__(f"{where}: {problem}")
        self.source, self.problem, self.line, self.field = source, problem, line, field


class Query(BaseModel):
    """What to look for; the parts narrow each other down.

    Every word of `text` must occur in the id, title, proposal or instrument, whatever the case and the
    accents. `since` and `until` (both days included) keep the experiments that ran at least partly
    between them. `scope` is `mine` (team, local contact, or one's instrument), `open` (data that
    everyone may see, one's own included) or `all` (whatever one may see).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, StringConstraints(max_length=200)] = ""
    instruments: Annotated[frozenset[str], Field(max_length=100)] = frozenset()
    since: Day | None = None
    until: Day | None = None
    scope: Literal["mine", "open", "all"] = "all"
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Field(ge=0, le=500)] = 50


class Page(BaseModel):
    """One page of a search, newest first.

    `total` counts all that was found. `instruments` counts it per instrument, in the order of their
    names, as if none had been asked for, so that a list to choose from keeps its other entries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiments: tuple[Experiment, ...]
    total: int
    instruments: dict[str, int]


#: As many datasets of an experiment are looked at to say what kinds of data it has.
KINDS_AMONG = 500
#: Datasets asked for at a time where all of an experiment's are looked at.
_AT_ONCE = 500


class Kinds(BaseModel):
    """What an experiment's data are: the definitions and techniques of its datasets, most frequent first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    definitions: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()


def kinds_of(datasets: Iterable[Dataset]) -> Kinds:
    """The kinds of these datasets."""
    definitions: Counter[str] = Counter()
    techniques: Counter[str] = Counter()
    for dataset in datasets:
        definitions[dataset.definition] += 1
        techniques[dataset.technique] += 1
    return Kinds(
        definitions=tuple(name for name, _ in definitions.most_common() if name),
        techniques=tuple(name for name, _ in techniques.most_common() if name),
    )


class DatasetPage(BaseModel):
    """Some of an experiment's datasets, in the catalogue's order; `total` counts all that were found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: tuple[Dataset, ...]
    total: int


class Catalogue(ABC):
    """Experiments and their datasets."""

    #: The day on which open data are judged; tests set it.
    today: Callable[[], date] = staticmethod(date.today)

    @property
    def last_error(self) -> CatalogueError | None:
        """Why the newest state of the source is not served; None while all is well."""
        return None

    @abstractmethod
    async def experiment(self, experiment_id: str) -> Experiment:
        """One experiment, whoever asks; raises UnknownExperiment."""

    @abstractmethod
    async def search(self, account: Account, query: Query) -> Page:
        """What the account may see of what the query asks for."""

    @abstractmethod
    async def datasets(self, experiment_id: str, offset: int = 0, limit: int = 100) -> list[Dataset]:
        """Datasets of one experiment, whoever asks; raises UnknownExperiment.

        Comes from the catalogue alone: nothing ever walks an experiment's directories.
        """

    @abstractmethod
    async def find_datasets(
        self, experiment_id: str, text: str = "", offset: int = 0, limit: int = 50
    ) -> DatasetPage:
        """Datasets of one experiment whose id, name or technique hold every word of `text`, whoever asks.

        Raises UnknownExperiment. Comes from the catalogue alone, as `datasets` does.
        """

    async def pick_datasets(self, experiment_id: str, ids: Collection[str]) -> list[Dataset]:
        """The datasets of one experiment with these ids, as far as it has them; raises UnknownExperiment."""
        wanted, found, offset = set(ids), [], 0
        while wanted and (page := await self.datasets(experiment_id, offset=offset, limit=_AT_ONCE)):
            for dataset in page:
                if dataset.id in wanted:
                    wanted.discard(dataset.id)
                    found.append(dataset)
            offset += len(page)
        return found

    async def kinds(self, experiment_id: str) -> Kinds:
        """What kinds of data an experiment has, going by its first datasets; raises UnknownExperiment."""
        return kinds_of(await self.datasets(experiment_id, limit=KINDS_AMONG))

    async def visible(self, account: Account, experiment_id: str) -> Experiment:
        """One experiment that this account may see; raises UnknownExperiment otherwise."""
        experiment = await self.experiment(experiment_id)
        if why_visible(account, experiment, self.today()) is None:
            raise UnknownExperiment(experiment_id)
        return experiment
