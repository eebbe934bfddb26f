"""The kinds of lines that the audit log may hold, each with a schema of its own (`schemas/*.yaml`).

The schemas are jupyter-events' own, so that a site can route each kind by the hub's event log.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import ValidationError
from jupyter_events.schema import EventSchema

from ..database import Event

#: Schemas are known by this and the kind, as in `urn:visa:sharing:member-granted`.
PREFIX = "urn:visa:sharing:"
VERSION = "1"

_FILES = Path(__file__).parent / "schemas"


class Unfit(ValueError):
    """A line does not fit the schema of its kind: a defect of whoever wrote it, not of a person's input."""


def _compose(what: str, kind: dict, line: dict) -> dict:
    """The JSON Schema of one kind: the common properties, what of them it needs, and its details."""
    needs, types = kind.get("needs", ()), line["types"]
    unknown = set(needs) - set(line["properties"]) | set(kind) - {
        "title",
        "description",
        "needs",
        "details",
        "may",
    }
    if unknown:
        raise ValueError(f"{what}: {', '.join(sorted(unknown))}")
    properties = {name: dict(form) for name, form in line["properties"].items()}
    for name in needs:
        properties[name] |= {"minLength": 1}
    if "role" in needs:
        properties["role"]["enum"] = [role for role in properties["role"]["enum"] if role]
    properties["what"]["const"] = what
    details, may = kind.get("details", {}), kind.get("may", {})
    properties["details"] |= {
        "properties": {name: types[form] for name, form in (details | may).items()},
        "required": list(details),
        "additionalProperties": False,
    }
    return {
        "$id": PREFIX + what,
        "version": VERSION,
        "title": kind["title"],
        "description": kind.get("description", kind["title"]),
        "type": "object",
        "properties": properties,
        # The number and the time are known once the line is in the database.
        "required": sorted(set(properties) - {"id", "at"}),
        "additionalProperties": False,
    }


@cache
def kinds() -> dict[str, EventSchema]:
    """The schema of every kind, by its name; raises ValueError or KeyError when a file is wrong."""
    line = yaml.safe_load((_FILES / "line.yaml").read_text())
    found: dict[str, EventSchema] = {}
    for file in sorted(_FILES.glob("*.yaml")):
        if file.name == "line.yaml":
            continue
        for what, kind in yaml.safe_load(file.read_text()).items():
            if what in found:
                raise ValueError(f"{file.name}: {what} is there already")
            found[what] = EventSchema(_compose(what, kind, line))
    return found


def check(line: dict[str, Any]) -> None:
    """Raise Unfit, saying where, unless the line fits the schema of its `what`."""
    schema = kinds().get(line.get("what", ""))
    if schema is None:
        raise Unfit(f"there is no kind {line.get('what')!r} of line in the audit log")
    try:
        schema.validate(line)
    except ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        raise Unfit(f"{line['what']}: {f'{where}: ' if where else ''}{error.message}") from None


def moment(at: datetime | None) -> str | None:
    """A time of our tables (UTC, without a zone) as the log and the calls write it; None stays None."""
    return None if at is None else at.isoformat(timespec="milliseconds") + "Z"


def as_line(event: Event | Any) -> dict[str, Any]:
    """One row of `visa_events` as it is told: the contract's `Event`."""
    return {
        "id": event.id,
        "at": moment(event.at),
        "what": event.what,
        "owner": event.owner,
        "session": event.session,
        "who": event.who,
        "whom": event.whom,
        "role": event.role,
        "address": event.address,
        "details": event.details,
    }
