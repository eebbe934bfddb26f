"""A session's passport: what it was started with, so that it can be understood and started so again.

`visa_sharing` keeps them in the hub's database; a hub without its tables writes them into the sessions alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from visa_session.contract import ExperimentInfo

from ..asked.authorise import Accepted
from ..session import Image, Start

#: The form that a passport has; grows with a change that older readers would misunderstand.
VERSION = 1


def passport(
    accepted: Accepted, image: Image, *, owner: str, name: str, facility: str, started: datetime
) -> dict[str, Any]:
    """The passport of a session that is being started, as docs/developers/interfaces.md has it."""
    profile, plan = accepted.profile, accepted.plan
    return {
        "visa_passport": VERSION,
        "session": name,
        "owner": owner,
        "facility": facility,
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "profile": {"name": profile.name, "title": profile.title, "revision": profile.revision},
        "plan": {
            "name": accepted.plan_name,
            **plan.model_dump(
                mode="json", include={"title", "backend", "cpus", "memory", "gpus", "gpu_type"}
            ),
        },
        "image": image.about(),
        "packages": list(image.packages),
        "experiments": [
            {
                "id": one.id,
                "title": one.title,
                "proposal": one.proposal,
                "instrument": one.instrument,
                "technique": one.technique,
                "datasets": [
                    {"id": dataset.id, "name": dataset.name}
                    for dataset in accepted.datasets
                    if dataset.experiment == one.id
                ],
            }
            for one in accepted.experiments
        ],
        "options": accepted.request.model_dump(mode="json", exclude_none=True),
    }


def changed(
    last: Mapping[str, Any],
    data: Iterable[ExperimentInfo],
    datasets: Iterable[str],
    proposals: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The passport of a running session with what it has now; `proposals` are those of new experiments."""
    data = list(data)
    known = {one["id"]: one["proposal"] for one in last["experiments"]} | dict(proposals)
    experiments = [
        {
            "id": one.id,
            "title": one.title,
            "proposal": known.get(one.id, ""),
            "instrument": one.instrument,
            "technique": one.technique,
            "datasets": [{"id": dataset.id, "name": dataset.name} for dataset in one.datasets],
        }
        for one in data
    ]
    now = {"experiments": [one.id for one in data], "datasets": list(datasets)}
    return {**last, "experiments": experiments, "options": {**last["options"], **now}}


def text(passport: Mapping[str, Any]) -> str:
    """A passport as the file of it, for people to read as well."""
    return json.dumps(passport, ensure_ascii=False, indent=1) + "\n"


class Passports:
    """What a hub remembers of passports: nothing. `visa_sharing` puts its own in the place of this."""

    def keep(self, db, passport: Mapping[str, Any]) -> None:
        """Keep the passport of a session that is being started; committed when it returns."""

    def last(self, db, owner: str, session: str) -> dict[str, Any] | None:
        """The passport of a session's last start; None where it is not known."""
        return None

    def recipe_of(self, db, digest: str) -> str:
        """Of which recipe an image was that sessions have had here; empty where none has."""
        return ""

    def starts(self, db, since: datetime) -> Sequence[Start]:
        """The starts since then, the earliest first."""
        return ()
