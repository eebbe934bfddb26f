"""What a person may ask for. The only way in, whoever called: form, REST or script."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from visa_catalogue.model import ExperimentId

from ..profiles.model import Name
from ..session import StartRefused

#: Most experiments, and most datasets, that one session may be asked to have.
MAX_EXPERIMENTS = 20
MAX_DATASETS = 200
MAX_DATASET_ID = 256

#: Keyboard layouts a session may have, by their names in X.
_LAYOUTS = """
    am ara at au az ba bd be bg br bt by ca ch cn cz de dk ee es fi fo fr gb ge gr hr hu ie il in iq
    ir is it jp ke kg kh kr kz la latam lk lt lv ma md me mk mm mn mt my ng nl no np nz ph pk pl pt
    ro rs ru se si sk sn sy th tj tm tr tw tz ua us uz vn za
"""
KEYBOARDS = frozenset(_LAYOUTS.split())

MIN_SCREEN = (640, 480)
MAX_SCREEN = (7680, 4320)

_WORDS = {
    "experiments": f"must be a list of at most {MAX_EXPERIMENTS} different experiment ids",
    "datasets": f"must be a list of at most {MAX_DATASETS} different dataset ids",
    "profile": "must be the name of a profile",
    "plan": "must be the name of one of the profile's plans",
    "interface": "must be desktop or lab",
    "screen": "must be a width and a height such as 1920x1080, from 640x480 to 7680x4320",
    "keyboard": "must be the name of a keyboard layout, such as us, gb, fr or de",
    "lifetime_hours": "must be a number of hours above zero",
    "image": "must be the digest of an image, as a session's passport has it: sha256: and 64 characters",
}


def _unlike(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("the same one twice")
    return values


def _plain_text(value: str) -> str:
    if shown(value, MAX_DATASET_ID) != value:
        raise ValueError("too long, or with control characters")
    return value


DatasetId = Annotated[str, AfterValidator(_plain_text)]


class SessionRequest(BaseModel):
    """`user_options`, checked for form alone; `authorise` says whether this account may have it.

    `lifetime_hours` is None where the profile's own is wanted, `image` where its present image is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    experiments: Annotated[
        list[ExperimentId], Field(max_length=MAX_EXPERIMENTS), AfterValidator(_unlike)
    ] = []
    datasets: Annotated[list[DatasetId], Field(max_length=MAX_DATASETS), AfterValidator(_unlike)] = []
    profile: Name
    plan: Name
    interface: Literal["desktop", "lab"] = "lab"
    screen: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{2,3}x[1-9][0-9]{2,3}$")] = "1920x1080"
    keyboard: str = "us"
    lifetime_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    image: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    @field_validator("screen")
    @classmethod
    def _screen_within(cls, value: str) -> str:
        width, height = map(int, value.split("x"))
        if not (MIN_SCREEN[0] <= width <= MAX_SCREEN[0] and MIN_SCREEN[1] <= height <= MAX_SCREEN[1]):
            raise ValueError("out of bounds")
        return value

    @field_validator("keyboard")
    @classmethod
    def _keyboard_known(cls, value: str) -> str:
        if value not in KEYBOARDS:
            raise ValueError("no such layout")
        return value


def parse(user_options: object) -> SessionRequest:
    """`user_options` as they came in.

    Raises StartRefused naming the first field that is wrong, in words that repeat nothing of what was
    sent but, shortened and made harmless, the name of a field that does not exist.
    """
    if not isinstance(user_options, Mapping):
        raise StartRefused("must be an object", field="user_options")
    try:
        return SessionRequest.model_validate(dict(user_options))
    except ValidationError as error:
        # What was sent and is wrong is told before what was not sent.
        errors = error.errors(include_input=False, include_url=False)
        first = min(errors, key=lambda e: e["type"] == "missing")
        field = str(first["loc"][0]) if first["loc"] else "user_options"
        if first["type"] == "extra_forbidden":
            words = f"there is no such option; known: {', '.join(SessionRequest.model_fields)}"
            raise StartRefused(words, field=shown(field)) from None
        if first["type"] == "missing":
            raise StartRefused(f"is missing: it {_WORDS[field]}", field=field) from None
        raise StartRefused(_WORDS.get(field, "cannot be read"), field=shown(field)) from None


def shown(text: str, limit: int = 40) -> str:
    """A text of somebody's making as part of a message: one short line without control characters."""
    clean = "".join(c for c in text[: 4 * limit] if c == " " or unicodedata.category(c)[0] not in "CZ")
    return (clean[: limit - 1] + "…" if len(clean) > limit else clean) or "user_options"
