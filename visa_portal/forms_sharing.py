"""The forms about sharing, read into checked values; every refusal names the field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from visa_catalogue.model import ExperimentId

from .forms import Arguments, checked, only
from .models import FormError

Role = Literal["viewer", "collaborator"]
#: An account's name, as exactly as somebody typed it.
AccountName = Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]
#: Words for people.
Message = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LetIn(_Form):
    """Let somebody in; `despite` names the experiments they may not see by themselves."""

    name: AccountName
    role: Role
    despite: tuple[ExperimentId, ...] = Field(default=(), max_length=20)


class Change(_Form):
    """Give a member another role."""

    name: AccountName
    role: Role


class End(_Form):
    """End one membership."""

    name: AccountName


class Nothing(_Form):
    """A form that is a button alone."""


class Team(_Form):
    """Share with the whole team of an experiment; with an empty role, no longer."""

    experiment: ExperimentId
    role: Role | Literal[""]


class MakeLink(_Form):
    """An invitation link: as what, for how long, for how many."""

    role: Role
    hours: float = Field(gt=0, le=24 * 366, allow_inf_nan=False)
    uses: int = Field(ge=1, le=10_000)


class Revoke(_Form):
    """Take a link back."""

    link: int = Field(ge=1, lt=2**63)


class Lock(_Form):
    """Lock or unlock."""

    locked: bool


class Answer(_Form):
    """An answer to support, and the page that it was given on."""

    request: int = Field(ge=1, lt=2**63)
    answer: Literal["as-asked", "watch", "decline"]
    back: Literal["", "sessions"] = ""


class Help(_Form):
    """Ask for help."""

    message: Message


def read(form: type[BaseModel], sent: Arguments) -> BaseModel:
    """What was sent as the form that it must be; raises FormError."""
    values: dict = {}
    for name in sent:
        if name == "_xsrf":
            continue
        if name not in form.model_fields:
            raise FormError(name[:40], "there is no such field")
        values[name] = tuple(sent[name]) if name == "despite" else only(sent, name)
    return checked(form, values)
