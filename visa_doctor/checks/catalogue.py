"""Whether the catalogue can be read, and the data that it names be bound, by the code that a start uses."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from visa_catalogue import CatalogueError, Query
from visa_catalogue.account import Account, Role
from visa_catalogue.model import Experiment
from visa_spawner.data import binds
from visa_spawner.session import Person, StartRefused

from ..finding import Finding, counted, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

#: Experiments whose directories are looked at, the newest first; and paths that are told of each kind.
MOST, TOLD = 200, 5
#: Whose data ought to be on disk; older ones may be on tape alone.
RECENT = timedelta(days=30)
#: Whoever has no account: what such a one may write, everybody may.
_NOBODY = Person("visa-doctor", 2**31 - 2, 2**31 - 2, (), "/nonexistent")


async def look(here: Installation) -> Look:
    """The file, then the newest experiments' directories."""
    try:
        catalogue = await in_thread(here.open_catalogue)
    except (CatalogueError, ValueError) as error:
        yield wrong(
            f"{worded(error)}.",
            "Correct it there: a hub that runs goes on with its last good state, and does not start anew"
            " with this.",
            stops=True,
        )
        return
    everything = Account(username=_NOBODY.username, roles=frozenset({Role.ADMINISTRATOR}))
    page = await catalogue.search(everything, Query(limit=MOST))
    if not page.total:
        yield warning(
            "The catalogue has no experiments.", "See what writes it (docs/operators/catalogue.md)."
        )
        return
    seen = await in_thread(lambda: _looked_at(page.experiments, here.site.home_roots))
    faults = list(_faults(seen, len(page.experiments)))
    for finding in faults:
        yield finding
    if not faults:
        which = f"those of the newest {MOST}" if page.total > MOST else "their directories"
        away = f", but for {len(seen.away)} that are not on disk" if seen.away else ""
        here_alone = ", as this machine sees them" if any(not node.is_local for node in here.nodes) else ""
        yield fine(f"It has {counted(page.total, 'experiment')}; {which} can be bound{away}{here_alone}.")


@dataclass
class Seen:
    """Experiment to why; of `away` neither raw nor processed data are there, of `half` one of the two."""

    unsafe: dict[str, str] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    half: dict[str, str] = field(default_factory=dict)
    recent: dict[str, str] = field(default_factory=dict)


def _looked_at(experiments: Iterable[Experiment], home_roots: list[str]) -> Seen:
    seen, level = Seen(), binds.log.level
    # Each would be told in the hub's log as well.
    binds.log.setLevel(logging.CRITICAL)
    try:
        for experiment in experiments:
            data = [one for one in binds.wanted_for(_NOBODY, [experiment]) if one.field != "home"]
            absent = []
            for wanted in data:
                try:
                    with binds.checked(wanted, _NOBODY, home_roots):
                        pass
                except StartRefused as error:
                    why = worded(error.__cause__ or error)
                    if isinstance(error.__cause__, binds.NotThere):
                        absent.append(why)
                    else:
                        seen.unsafe[experiment.id] = why
            if absent:
                into = seen.away if len(absent) == len(data) else seen.half
                into[experiment.id] = absent[0]
                if experiment.end >= date.today() - RECENT:
                    seen.recent[experiment.id] = absent[0]
    finally:
        binds.log.setLevel(level)
    return seen


def _faults(seen: Seen, count: int) -> Iterator[Finding]:
    if seen.unsafe:
        yield wrong(
            f"Sessions with these experiments do not start: {_first(seen.unsafe)}.",
            "Nobody but the facility may write above the data, and no part of a path may be a link: mend"
            " its mode"
            " or owner, or correct the catalogue.",
        )
    if len(seen.away) == count:
        yield wrong(
            f"The data of no experiment are there: {_first(seen.away)}.",
            "See whether the facility's file system is mounted on this machine (`findmnt`, `mount -a`).",
        )
        return
    if seen.half:
        yield wrong(
            "Sessions with these experiments do not start, since a directory is missing:"
            f" {_first(seen.half)}.",
            "Have it made by whoever makes the tree, or leave `processed` out of the catalogue.",
        )
    if recent := {name: why for name, why in seen.recent.items() if name not in seen.half}:
        yield warning(
            f"The data of recent experiments are not on disk here: {_first(recent)}.",
            "See whether they are written elsewhere, or their file system is not mounted (`findmnt`).",
        )


def _first(found: dict[str, str]) -> str:
    told = [f"{experiment} ({why})" for experiment, why in list(found.items())[:TOLD]]
    more = len(found) - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
