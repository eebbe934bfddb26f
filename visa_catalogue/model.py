"""Experiments and datasets, as every catalogue returns them."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _no_way_up(path: str) -> str:
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("a path must not hold '.' or '..'")
    return path


def _written_as_a_day(value: Any) -> Any:
    # Numbers, also as text, would be read as seconds since 1970, and `start: 20240312` is one in YAML.
    if isinstance(value, int | float) or (isinstance(value, str) and not _DAY.match(value)):
        raise ValueError("a date is written YYYY-MM-DD")
    return value


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValueError("holds a control character or half of a character")
    return text


#: What people wrote, on one line; any script and any mark, since whoever shows it shows it as text.
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_one_line)]
#: The same where it must not be empty: what things are found by.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)
]

#: An experiment's id: what may stand in a path, a group's name and an address without quoting.
ExperimentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=r"^(/[^/\x00-\x1f:]+)+$", max_length=1024),
    AfterValidator(_no_way_up),
]
Day = Annotated[date, BeforeValidator(_written_as_a_day)]


def is_below(path: str, folder: str) -> bool:
    """Whether `path` stands inside `folder`, going by the names alone."""
    return path.startswith(folder + "/")


class Experiment(BaseModel):
    """One beamtime.

    `start` and `end` are its first and last day; `team` and `local_contacts` are account names; `raw` and
    `processed` absolute paths; `open_date` is the first day on which everyone may see the data, None for
    never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ExperimentId
    title: Text
    proposal: Name
    instrument: Name
    technique: Text = ""
    start: Day
    end: Day
    team: tuple[Name, ...] = ()
    local_contacts: tuple[Name, ...] = ()
    raw: AbsolutePath
    processed: AbsolutePath | None = None
    open_date: Day | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Experiment:
        if self.end < self.start:
            raise ValueError("end is before start")
        # A writable bind within the read-only one, or around it, would undo it.
        if self.processed and any(
            a == b or is_below(a, b) for a, b in [(self.processed, self.raw), (self.raw, self.processed)]
        ):
            raise ValueError("processed and raw must not be the same path nor one inside the other")
        return self


class Dataset(BaseModel):
    """One measurement inside an experiment's raw data; `path` is absolute.

    `definition` is the application definition of NeXus that its files are written in, such as NXtomo; empty
    where the catalogue does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    experiment: ExperimentId
    name: Name
    path: AbsolutePath
    technique: Text = ""
    definition: Annotated[str, StringConstraints(pattern=r"^(NX[A-Za-z0-9_]{1,60})?$")] = ""
    start: Day | None = Field(default=None)
