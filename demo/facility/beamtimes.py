"""The demo's experiments: who measured what, where and when. Light enough to work out at every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from visa_catalogue.model import Experiment

from . import titles

_EMBARGO_YEARS = 3
_FIRST_GID = 30001
#: The last day on which an experiment of the archive began.
_ARCHIVE_ENDS = date(2026, 10, 1)


@dataclass(frozen=True)
class Instrument:
    """A beamline; `letters` begin the proposals it takes most."""

    name: str
    technique: str
    letters: tuple[str, ...]


#: Those with data on disk.
INSTRUMENTS = (
    Instrument("id11", "diffraction", ("ma", "ch")),
    Instrument("id19", "tomography", ("me", "hg")),
    Instrument("id21", "fluorescence", ("hg", "ev")),
    Instrument("bm29", "saxs", ("mx", "sc")),
)
#: Those that are only in the archive.
_OTHERS = (
    Instrument("bm18", "tomography", ("me", "hg")),
    Instrument("id15a", "diffraction", ("ma", "ch")),
    Instrument("id16b", "fluorescence", ("ev", "ls")),
    Instrument("id22", "diffraction", ("ch", "hc")),
)

#: Collection and dataset of each measurement, by technique.
MEASUREMENTS = {
    "diffraction": (("LaB6", "calibration"), ("CeO2", "ramp")),
    "tomography": (("phantom", "scan_0001"), ("phantom", "scan_0002")),
    "fluorescence": (("section", "map_0001"), ("section", "map_0002")),
    "saxs": (("silica", "series_0001"), ("silica", "series_0002")),
}

#: What the catalogue says of each dataset, by the experiment's technique: its own technique, and the
#: definition of NeXus that its file is written in, if any. Calibrant and ceria are powders.
KINDS = {
    "diffraction": {"technique": "powder diffraction"},
    "tomography": {"technique": "tomography", "definition": "NXtomo"},
    "fluorescence": {"technique": "fluorescence"},
    "saxs": {"technique": "saxs"},
}

# One row a proposal: its team, its local contact, and how many beamtimes it had. Each instrument starts
# at another row, so that nobody's experiments are everybody's.
_TEAMS = (
    (("alice",), "mkowalski", 2),
    (("alice", "bob", "chloe"), "ines", 1),
    (("bob", "dawid"), "tnakamura", 1),
    (("bob", "chloe"), "mkowalski", 2),
    (("chloe",), "ines", 1),
    (("dawid",), "tnakamura", 1),
    ((), "mkowalski", 1),
    (("alice", "chloe"), "tnakamura", 1),
)
#: The rows measured so long ago that their data are open.
_OPEN_ROWS = (5, 6)
_ELSEWHERE = ("jferrari", "kschmidt", "lbergstrom", "nrossi", "opetit", "rgarcia", "svarga", "wchen")


@dataclass(frozen=True)
class Measurement:
    """One dataset of a beamtime, and its directory below RAW_DATA."""

    collection: str
    dataset: str

    @property
    def name(self) -> str:
        return f"{self.collection}_{self.dataset}"

    @property
    def folder(self) -> str:
        return f"{self.collection}/{self.name}"


@dataclass(frozen=True)
class Beamtime:
    """An experiment with data on disk; `gid` is its proposal's group, `seed` what its data vary by."""

    experiment: Experiment
    gid: int
    seed: int

    @property
    def folder(self) -> Path:
        """Where RAW_DATA and its companions stand."""
        return Path(self.experiment.raw).parent

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(Measurement(*m) for m in MEASUREMENTS[self.experiment.technique])


def beamtimes(data: Path, seed: int, proposals: int) -> list[Beamtime]:
    """The experiments with data; all eight proposals an instrument make forty, as two came back."""
    made: list[Beamtime] = []
    gid = _FIRST_GID
    for number, instrument in enumerate(INSTRUMENTS):
        for k in range(proposals):
            row = (k + number) % len(_TEAMS)
            team, contact, times = _TEAMS[row]
            # Two of the rows begin in the archive's years, the others after 2024.
            start = date(2019 + number % 2, 2, 5) if row in _OPEN_ROWS else date(2025, 2, 4)
            start += timedelta(days=61 * k + 7 * number)
            for again in range(times):
                day = start + timedelta(days=168 * again)
                title = titles.MEASURED[instrument.technique][k]
                experiment = _experiment(
                    data,
                    instrument,
                    proposal=f"{instrument.letters[k % 2]}{6100 + 100 * number + 7 * k}",
                    title=f"{title} (second beamtime)" if again else title,
                    start=day,
                    days=3 + k % 3,
                    team=(*team, _ELSEWHERE[k]),
                    contact=contact,
                )
                made.append(Beamtime(experiment, gid, seed * 1000 + len(made)))
            gid += 1
    return made


def archive(data: Path, seed: int, count: int) -> Iterator[Experiment]:
    """Experiments for the catalogue alone: their paths lead nowhere, as those of data on tape do."""
    rng = random.Random(seed)
    places = INSTRUMENTS + _OTHERS
    for number in range(count):
        instrument = rng.choice(places)
        start = _ARCHIVE_ENDS - timedelta(days=rng.randrange(15 * 365))
        awkward = number < len(titles.AWKWARD)
        yield _experiment(
            data,
            instrument,
            # Five digits, which no proposal with data has.
            proposal=f"{rng.choice(instrument.letters)}{10000 + number}",
            title=titles.AWKWARD[number] if awkward else titles.made_up(rng, instrument.technique),
            start=start,
            days=rng.randint(1, 6),
            team=tuple(sorted(rng.sample(_ELSEWHERE, rng.randint(1, 4)))),
            contact=rng.choice(("mkowalski", "tnakamura", "fdubois")),
            # Industry pays, and its data stay closed.
            opens=awkward or rng.random() > 0.04,
        )


def _experiment(
    data: Path,
    instrument: Instrument,
    *,
    proposal: str,
    title: str,
    start: date,
    days: int,
    team: tuple[str, ...],
    contact: str,
    opens: bool = True,
) -> Experiment:
    folder = f"{data}/{proposal}/{instrument.name}/{start:%Y%m%d}"
    end = start + timedelta(days=days)
    return Experiment(
        id=f"{proposal}-{instrument.name}-{start:%Y%m%d}",
        title=title,
        proposal=proposal,
        instrument=instrument.name,
        technique=instrument.technique,
        start=start,
        end=end,
        team=team,
        local_contacts=(contact,),
        raw=f"{folder}/RAW_DATA",
        processed=f"{folder}/PROCESSED_DATA",
        open_date=_years_later(end, _EMBARGO_YEARS) if opens else None,
    )


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)
