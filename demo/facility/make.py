"""Making the whole facility: accounts, catalogue, directories, data."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zlib import crc32

from visa_catalogue.access import OPEN_DATA, is_open, why_visible
from visa_catalogue.account import Account
from visa_catalogue.model import Experiment

from . import tree
from .beamtimes import KINDS, Beamtime, archive, beamtimes
from .people import PEOPLE, Person, claims, replace, write_accounts
from .recipe import Recipe, Size


def make_facility(
    data: Path,
    homes: Path,
    out: Path,
    recipe: Recipe | None = None,
    *,
    today: date | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> None:
    """Make the facility, or what of it is not there yet; doing it twice changes nothing.

    Writes `accounts.json` and `experiments.jsonl` into `out`. Raises tree.NotOurs rather than touch
    directories that it did not make, PermissionError when not run by root.
    """
    if os.geteuid() != 0:
        raise PermissionError("only root can make this facility: its directories belong to several accounts")
    recipe, today = recipe or Recipe(), today or date.today()
    data, homes, out = (Path(os.path.abspath(p)) for p in (data, homes, out))
    if data.is_relative_to(homes) or homes.is_relative_to(data):
        raise ValueError("the data and the homes must not stand inside one another")
    measured = beamtimes(data, recipe.seed, recipe.proposals)
    with ExitStack() as stack:
        made = stack.enter_context(tree.claimed(data, say))
        stack.enter_context(tree.claimed(homes, say))
        for root in (data, homes):
            for above in tree.unsafe_above(root):
                say(f"careful: {above} may be written by others than root, so sessions may refuse {root}")
        for person in PEOPLE:
            tree.home(homes / person.username, person.uid, person.gid)
        opened = {b.experiment.id for b in measured if is_open(b.experiment, today)}
        _make_data(data, measured, opened, made, recipe, say)
        out.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_catalogue(out / "experiments.jsonl", measured, archive(data, recipe.seed, recipe.archive))
        write_accounts(
            out / "accounts.json", {p.username: _claims(p, homes, measured, today) for p in PEOPLE}
        )


def write_catalogue(path: Path, measured: Sequence[Beamtime], others: Sequence[Experiment]) -> None:
    """Write the catalogue's file, unless it says the same already."""
    lines = []
    for beamtime in measured:
        experiment = beamtime.experiment
        record = experiment.model_dump(mode="json", exclude_none=True)
        record["datasets"] = [
            {
                "id": m.name,
                "name": m.name,
                "path": f"{experiment.raw}/{m.folder}",
                **KINDS[experiment.technique],
                "start": experiment.start.isoformat(),
            }
            for m in beamtime.measurements
        ]
        lines.append(record)
    lines += [e.model_dump(mode="json", exclude_none=True) for e in others]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in lines)
    if not path.exists() or path.read_text() != text:
        replace(path, text, 0o644)


def _claims(person: Person, homes: Path, measured: Sequence[Beamtime], today: date) -> dict:
    teams = frozenset(b.experiment.id for b in measured if person.username in b.experiment.team)
    account = Account(
        username=person.username,
        teams=teams,
        roles=frozenset({person.role}),
        instruments=frozenset(person.instruments),
    )
    # Whoever the catalogue lets in for more than open data is in the proposal's group, so that the disk
    # and the catalogue agree. A proposal has one team, one contact and one instrument.
    reasons = {b.gid: why_visible(account, b.experiment, today) for b in measured}
    gids = [gid for gid, reason in reasons.items() if reason not in (None, OPEN_DATA)]
    return claims(person, homes, gids, sorted(teams))


def _make_data(
    root: Path,
    measured: Sequence[Beamtime],
    opened: set[str],
    made: dict,
    recipe: Recipe,
    say: Callable[[str], None],
) -> None:
    fingerprint = recipe.fingerprint(opened)
    if made.get("recipe") == fingerprint and made.get("complete"):
        return
    if made.get("recipe") != fingerprint:
        tree.drop_raw(root)
        tree.mark(root, recipe=fingerprint, complete=False)
    left = [b for b in measured if not os.path.lexists(b.experiment.raw)]
    for beamtime in measured:
        tree.beamtime_folders(root, beamtime.folder, beamtime.gid)
    say(f"making the data of {len(left)} experiments below {root}")
    for number, beamtime in enumerate(left, 1):
        make_raw(beamtime, beamtime.experiment.id in opened, recipe.size)
        if number % 10 == 0:
            say(f"{number} of {len(left)} made")
    tree.mark(root, recipe=fingerprint, complete=True)


def make_raw(beamtime: Beamtime, opened: bool, size: Size) -> None:
    """Compute one beamtime's raw data and put them in place whole."""
    import numpy as np

    from . import nexus

    experiment = beamtime.experiment
    technique = importlib.import_module(f".{experiment.technique}", __package__)
    raw = Path(experiment.raw)
    beside = raw.with_name(".RAW_DATA.new")
    tree.remove(beside)
    beside.mkdir(mode=0o700)
    links, first = {}, None
    for number, what in enumerate(beamtime.measurements):
        folder = beside / what.folder
        folder.mkdir(parents=True)
        began = datetime.combine(experiment.start, time(9), UTC) + timedelta(hours=3 * number)
        heading = nexus.Heading(
            title=f"{experiment.title}: {what.name}",
            instrument=experiment.instrument,
            proposal=experiment.proposal,
            sample=what.collection,
            energy=technique.ENERGY,
            started=began,
            ended=began + timedelta(hours=2),
        )
        first = first or heading
        technique.write(
            nexus.Job(
                path=folder / f"{what.name}.h5",
                what=what,
                heading=heading,
                sample=np.random.default_rng(beamtime.seed),
                own=np.random.default_rng([beamtime.seed, crc32(what.name.encode())]),
                size=size,
            )
        )
        links[f"{what.name}_{nexus.ENTRY}"] = f"{what.folder}/{what.name}.h5"
    nexus.write_master(beside / f"{experiment.proposal}_{experiment.instrument}.h5", links, first)
    tree.put_raw(beside, raw, beamtime.gid, opened)
