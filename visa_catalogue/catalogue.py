"""What every catalogue offers, wherever its experiments come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
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

    async def visible(self, account: Account, experiment_id: str) -> Experiment:
        """One experiment that this account may see; raises UnknownExperiment otherwise."""
        experiment = await self.experiment(experiment_id)
        if why_visible(account, experiment, self.today()) is None:
            raise UnknownExperiment(experiment_id)
        return experiment
