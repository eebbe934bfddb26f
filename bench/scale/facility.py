"""A made-up facility for thousands: who is who, their homes, experiments and profiles."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml

from visa_catalogue.account import Account

#: Experiments; each person is on the team of one, in turn.
EXPERIMENTS = 500
#: The members of staff, beside the people p00000, p00001 and so on.
STAFF = {"helper": "helpdesk", "chief": "administrator"}
OPTIONS = {"profile": "general", "plan": "small", "interface": "lab", "lifetime_hours": 8}
#: What everybody calls the one session that runs.
SESSION = "beamtime"


def person(number: int) -> str:
    return f"p{number:05}"


def experiment(number: int) -> str:
    """The id of the experiment that person `number` works on."""
    return f"E{number % EXPERIMENTS:05}"


def options(number: int) -> dict:
    """What person `number` starts a session with."""
    return OPTIONS | {"experiments": [experiment(number)]}


def account(root: str, name: str) -> Account:
    """As the identity provider would tell it; raises ValueError for a name that nobody has."""
    if name in STAFF:
        uid = 90000 + list(STAFF).index(name)
        own = {"roles": [STAFF[name]], "name": name.title()}
    else:
        number = int(name.removeprefix("p"))
        uid, own = 100000 + number, {"roles": ["scientist"], "teams": [experiment(number)]}
        own["name"] = f"Person {number}"
    return Account(username=name, uid=uid, gid=uid, home=f"{root}/home/{name}", **own)


def furnish(root: Path, people: int) -> None:
    """The homes, the data, the profiles and the catalogue below `root`."""
    for name in [*STAFF, *map(person, range(people))]:
        home, owner = root / "home" / name, account(str(root), name)
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, owner.uid, owner.gid)
    lines = []
    for number in range(EXPERIMENTS):
        place = root / "data" / experiment(number)
        (place / "RAW_DATA").mkdir(parents=True, exist_ok=True)
        lines.append(
            {
                "id": experiment(number),
                "title": f"A beamtime, the {number}th",
                "proposal": f"HC-{number}",
                "instrument": f"id{number % 30:02}",
                "start": "2026-01-01",
                "end": "2026-01-05",
                "team": [person(other) for other in range(number, people, EXPERIMENTS)],
                "raw": f"{place}/RAW_DATA",
            }
        )
    (root / "experiments.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    plan = {"backend": "container", "cpus": 1, "memory": "4G"}
    profile = {
        "name": "general",
        "title": "General",
        "image": "general",
        "lifetime": {"default_hours": 8, "max_hours": 336, "idle_hours": 96},
        "plans": {
            "small": plan | {"title": "1 core"},
            "medium": plan | {"title": "4 cores", "cpus": 4, "memory": "16G"},
            "large": plan | {"title": "16 cores", "cpus": 16, "memory": "64G"},
        },
    }
    (root / "profiles").mkdir(exist_ok=True)
    (root / "profiles/general.yaml").write_text(yaml.safe_dump(profile))
