"""Passports of sessions: as the hub tells them, and as somebody brings one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from visa_catalogue.model import ExperimentId

from .models import Answer, FormError, Name

#: Bytes that a passport may have which somebody brings: one of five thousand packages has half of it.
LARGEST = 600_000

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Image(Answer):
    """An image; what is not known is empty."""

    recipe: str = ""
    digest: str = ""
    revision: str = ""
    created: str = ""

    @property
    def day(self) -> datetime | None:
        """When it was built, where that is known."""
        try:
            return datetime.fromisoformat(self.created)
        except ValueError:
            return None


class Package(Answer):
    """A package in an image: `type` is `deb`, `pypi` or another one of package URLs."""

    type: str
    name: str
    version: str


class _Named(Answer):
    name: str
    title: str = ""
    revision: str = ""


class _Dataset(Answer):
    id: str
    name: str = ""


class _Experiment(Answer):
    id: str
    title: str = ""
    proposal: str = ""
    instrument: str = ""
    technique: str = ""
    datasets: tuple[_Dataset, ...] = ()


class Passport(Answer):
    """What a session was started with, as the hub tells it."""

    session: str
    owner: str
    facility: str = ""
    started: datetime
    profile: _Named
    plan: _Named
    image: Image = Field(default_factory=Image)
    packages: tuple[Package, ...] = ()
    experiments: tuple[_Experiment, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)


class Software(Answer):
    """The image that a start would get `now`, and the very one that `was` used, where it is still there.

    `words` say why it is not; `now` is None where that is not known.
    """

    now: Image | None = None
    was: Image | None = None
    words: str = ""


class _Brought(BaseModel):
    """A part of a passport that somebody brings: what is not read may be anything."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _BroughtProfile(_Brought):
    name: Name
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")] = ""


class _BroughtPlan(_Brought):
    name: Name


class _BroughtImage(_Brought):
    digest: Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""


class _BroughtDataset(_Brought):
    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _BroughtExperiment(_Brought):
    id: ExperimentId
    datasets: Annotated[list[_BroughtDataset], Field(max_length=200)] = []


class _BroughtOptions(_Brought):
    interface: Annotated[str, StringConstraints(pattern=r"^(desktop|lab)$")] = "lab"


class Brought(_Brought):
    """All that is read of a passport that somebody brings; the hub authorises it anew, every part of it."""

    visa_passport: Annotated[int, Field(ge=1, le=1)]
    profile: _BroughtProfile
    plan: _BroughtPlan
    image: _BroughtImage = Field(default_factory=_BroughtImage)
    experiments: Annotated[list[_BroughtExperiment], Field(max_length=20)] = []
    options: _BroughtOptions = Field(default_factory=_BroughtOptions)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query of "New session" that asks for the same once more."""
        asked = [("experiment", one.id) for one in self.experiments]
        asked += [("dataset", dataset.id) for one in self.experiments for dataset in one.datasets]
        asked += [("profile", self.profile.name), ("plan", self.plan.name)]
        asked += [("interface", self.options.interface), ("image", self.image.digest)]
        asked += [("was", self.profile.revision), ("home", "" if self.experiments else "1")]
        return [(name, value) for name, value in asked if value]


def brought(text: bytes | str) -> Brought:
    """What is taken of the text of a passport; raises FormError in words."""
    if len(text) > LARGEST:
        raise FormError("passport", f"this is larger than {LARGEST // 1000} kB, so it is no passport")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise FormError(
            "passport",
            "this is no passport, or only a part of one: bring the whole file as it was downloaded",
        ) from None
    if not isinstance(values, dict) or "visa_passport" not in values:
        raise FormError("passport", "this is no passport of a session")
    if values["visa_passport"] != 1:
        raise FormError("passport", "this passport is of a form that is not known here")
    try:
        return Brought.model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])[:60]
        raise FormError("passport", f"this passport cannot be read: {where} is not as it should be") from None
