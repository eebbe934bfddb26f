"""Experiments and datasets, as every catalogue returns them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: An experiment's id: what may stand in a path, a group's name and an address without quoting.
ExperimentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[^/\x00-\x1f:]+)+$", max_length=1024)]


class Experiment(BaseModel):
    """One beamtime.

    `team` and `local_contacts` are account names; `raw` and `processed` absolute paths; `open_date` is
    the first day on which everyone may see the data, None for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ExperimentId
    title: str
    proposal: str
    instrument: str
    technique: str = ""
    start: date
    end: date
    team: tuple[str, ...] = ()
    local_contacts: tuple[str, ...] = ()
    raw: AbsolutePath
    processed: AbsolutePath | None = None
    open_date: date | None = None


class Dataset(BaseModel):
    """One measurement inside an experiment's raw data; `path` is absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    experiment: ExperimentId
    name: str
    path: AbsolutePath
    technique: str = ""
    start: date | None = Field(default=None)
