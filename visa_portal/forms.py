"""What a person sends, read into checked values; every refusal names the field."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from jupyterhub.slugs import is_valid_display_name, normalise_unicode
from pydantic import BaseModel, ValidationError

from visa_catalogue import Query

from .choice import Wanted
from .models import PER_PROFILE, FormError, StartForm

Arguments = Mapping[str, Sequence[str]]
Model = TypeVar("Model", bound=BaseModel)

#: What each field is called on the page.
LABELS = {
    "q": "Search",
    "text": "Search",
    "instrument": "Instrument",
    "instruments": "Instrument",
    "since": "From",
    "until": "To",
    "scope": "Which experiments",
    "offset": "Page",
    "name": "Session",
    "title": "Title",
    "experiments": "Experiments",
    "datasets": "Datasets",
    "image": "Software",
    "profile": "Profile",
    "plan": "Plan",
    "interface": "Opens as",
    "screen": "Screen",
    "keyboard": "Keyboard",
    "lifetime_hours": "Time",
    "role": "As",
    "hours": "Good for",
    "uses": "People",
    "message": "Message",
    "code": "Code",
    "answer": "Answer",
    "experiment": "Experiment",
}

#: As the software of a passport's profile: its very image, and not today's.
EXACTLY = "exactly"

#: Characters of a session's generated name: none that look alike.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_SIMPLE = ("title", "interface", "screen", "keyboard", "profile", "plan", "lifetime_hours", "name")


def read_query(arguments: Arguments, limit: int) -> Query:
    """The search of a list's address; raises FormError."""
    values = {
        "text": _one(arguments, "q"),
        "instruments": frozenset(filter(None, arguments.get("instrument", ()))),
        "since": _one(arguments, "since") or None,
        "until": _one(arguments, "until") or None,
        "scope": _one(arguments, "scope") or "mine",
        "offset": _one(arguments, "offset") or 0,
        "limit": limit,
    }
    return checked(Query, values)


def write_query(query: Query, chosen: Sequence[str] = (), **others) -> str:
    """The address of a list, as `read_query` takes it; `others` replace or join."""
    pairs = {"q": query.text, "since": query.since or "", "until": query.until or "", "scope": query.scope}
    pairs |= {"offset": query.offset or ""} | others
    many = [("instrument", one) for one in sorted(query.instruments)]
    many += [("experiment", one) for one in chosen]
    return urlencode([(key, str(value)) for key, value in pairs.items() if value != ""] + many)


def read_wanted(arguments: Arguments) -> Wanted:
    """What a link asks for: it fills the form in, and starts nothing.

    Whatever is not understood is left out, since a link may be old.
    """
    values = {name: _one(arguments, name)[:255] for name in Wanted.__dataclass_fields__}
    values["plan"] = values["plan"] or _one(arguments, f"plan-{values['profile']}")[:255]
    values["software"] = values["software"] or _one(arguments, f"software-{values['profile']}")[:9]
    hours = _one(arguments, f"lifetime-{values['profile']}")[:9]
    values["lifetime_hours"] = values["lifetime_hours"] or hours
    # No word of a link's that could be read as the facility's.
    for name in ("screen", "image", "profile", "plan"):
        try:
            StartForm(
                **{"name": "a", "profile": "a", "plan": "a"} | ({name: values[name]} if values[name] else {})
            )
        except ValidationError:
            values[name] = ""
    if not values["profile"]:
        values["image"] = values["was"] = ""
    values["was"] = values["was"] if re.fullmatch("[0-9a-f]{1,64}", values["was"]) else ""
    return Wanted(**values)


def read_start(arguments: Arguments) -> StartForm:
    """The form of "New session"; raises FormError for whatever is unknown, missing or absurd."""
    values: dict = {"experiments": tuple(dict.fromkeys(arguments.get("experiment", ())))}
    values["datasets"] = tuple(dict.fromkeys(arguments.get("dataset", ())))
    below: dict[str, dict[str, str]] = {"plan": {}, "lifetime": {}, "software": {}, "name": {}}
    for name in arguments:
        if name in _SIMPLE:
            values[name] = only(arguments, name)
        elif found := PER_PROFILE.match(name):
            below[found[1]][found[2]] = only(arguments, name)
        elif name not in ("_xsrf", "experiment", "dataset", "home", "image", "was"):
            raise FormError(name[:40], "there is no such field")
    profile = values.get("profile", "")
    values.setdefault("plan", below["plan"].get(profile, ""))
    values.setdefault("lifetime_hours", below["lifetime"].get(profile) or None)
    values["name"] = below["name"].get(profile) or values.get("name", "")
    if "image" in arguments:
        values["image"] = only(arguments, "image")
    form = checked(StartForm, values)
    if below["software"].get(profile) != EXACTLY:
        form = form.model_copy(update={"image": None})
    if not form.experiments and _one(arguments, "home") != "1":
        raise FormError("experiments", "choose at least one")
    return form


def session_name(profile: str, taken: Collection[str]) -> str:
    """A new name for a session: the profile's, and four characters nobody else has."""
    start = "".join(c if c.isascii() and c.isalnum() else "-" for c in profile.lower()).strip("-")
    start = "-".join(filter(None, start.split("-")))[:20].strip("-") or "session"
    if not start[0].isalpha():
        start = f"s-{start}"
    while True:
        name = f"{start}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"
        if name not in taken:
            return name


def display_name(title: str) -> str:
    """A title as JupyterHub takes it for a display name: printable, single spaces, at most 255 characters.

    Empty when nothing of it can be kept.
    """
    kept = "".join(
        " " if unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc") else c for c in normalise_unicode(title)
    )
    kept = "".join(c for c in kept if c == " " or is_valid_display_name(c))
    return " ".join(kept.split())[:255].strip()


def _one(arguments: Arguments, name: str) -> str:
    return next(iter(arguments.get(name, ())), "").strip()


def only(arguments: Arguments, name: str) -> str:
    """A field that may be sent once; raises FormError."""
    if len(arguments[name]) != 1:
        raise FormError(name, "sent more than once")
    return arguments[name][0].strip()


def checked(model: Callable[..., Model], values: dict) -> Model:
    """The values as the model that they must fit; raises FormError."""
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise FormError(name, _plain(first)) from None


def _plain(error: dict) -> str:
    kind = error["type"]
    if kind in ("missing", "string_pattern_mismatch") and not error.get("input"):
        return "choose one"
    if kind in ("missing", "string_too_short"):
        return "this is missing"
    if kind in ("int_parsing", "float_parsing"):
        return "a number is needed"
    if kind == "string_pattern_mismatch":
        return "this cannot be used here"
    return error["msg"].removeprefix("Value error, ")
