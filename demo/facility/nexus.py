"""NeXus files as the facility's acquisition writes them: one a dataset, and a master that links to all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .beamtimes import Measurement
from .recipe import Size

#: The name of a dataset's one entry: first scan, first part.
ENTRY = "1.1"


@dataclass(frozen=True)
class Heading:
    """What every entry begins with."""

    title: str
    instrument: str
    proposal: str
    sample: str
    energy: float  # of the beam, in keV
    started: datetime
    ended: datetime


@dataclass(frozen=True)
class Job:
    """One dataset's file to make.

    `sample` draws what all datasets of a beamtime share, always in the same order; `own` what differs.
    """

    path: Path
    what: Measurement
    heading: Heading
    sample: np.random.Generator
    own: np.random.Generator
    size: Size


def group(parent: h5py.Group, name: str, nexus: str, /, **values: Any) -> h5py.Group:
    """A group of a NeXus class; a value with its unit is a pair `(value, "unit")`.

    Texts are written as such, also a list of them.
    """
    made = parent.create_group(name)
    made.attrs["NX_class"] = nexus
    for key, value in values.items():
        value, unit = value if isinstance(value, tuple) else (value, None)
        if isinstance(value, list) and isinstance(value[0], str):
            value = np.array(value, dtype=h5py.string_dtype())
        made[key] = value
        if unit:
            made[key].attrs["units"] = unit
    return made


def frames(
    parent: h5py.Group, name: str, values: np.ndarray, units: str, chunks: tuple[int, ...]
) -> h5py.Dataset:
    """A large array, packed with what every HDF5 library can read."""
    chunks = tuple(map(min, chunks, values.shape))
    made = parent.create_dataset(
        name, data=values, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
    )
    made.attrs["units"] = units
    return made


def start_entry(file: h5py.File, heading: Heading) -> h5py.Group:
    """The entry with its instrument, source, beam and sample, made the one that viewers open first."""
    file.attrs.update({"NX_class": "NXroot", "default": ENTRY, "creator": "VISA demo facility"})
    file.attrs["file_time"] = heading.started.isoformat()
    entry = group(
        file,
        ENTRY,
        "NXentry",
        title=heading.title,
        experiment_identifier=heading.proposal,
        start_time=heading.started.isoformat(),
        end_time=heading.ended.isoformat(),
    )
    instrument = group(entry, "instrument", "NXinstrument", name=heading.instrument)
    group(instrument, "source", "NXsource", name="VISA demo", type="Synchrotron X-ray Source", probe="x-ray")
    group(
        instrument,
        "beam",
        "NXbeam",
        incident_energy=(heading.energy, "keV"),
        incident_wavelength=(12.398419843 / heading.energy, "angstrom"),
    )
    group(entry, "sample", "NXsample", name=heading.sample)
    return entry


def plot(
    entry: h5py.Group,
    name: str,
    signal: h5py.Dataset,
    axes: Iterable[h5py.Dataset | str],
    title: str,
    shown_as: str,
    **others: h5py.Dataset,
) -> h5py.Group:
    """An NXdata of links to what is measured; an axis without values is ".".

    `shown_as` is NeXus' interpretation of the signal's last dimensions: "image" or "spectrum". The first
    one of an entry is what viewers show at once. `others` join it under their names.
    """
    data = group(entry, name, "NXdata", title=title)
    own_names = []
    for part in (signal, *axes):
        own_name = part if isinstance(part, str) else part.name.rsplit("/", 1)[1]
        own_names.append(own_name)
        if own_name != ".":
            data[own_name] = h5py.SoftLink(part.name)
    for key, part in others.items():
        data[key] = h5py.SoftLink(part.name)
    signal.attrs["interpretation"] = shown_as
    data.attrs["signal"], data.attrs["axes"] = own_names[0], own_names[1:]
    if "default" not in entry.attrs:
        entry.attrs["default"] = name
    return data


def truth(entry: h5py.Group, /, **values: Any) -> h5py.Group:
    """What the data were computed from, so that an analysis of them can be checked."""
    made = group(entry, "truth", "NXcollection", **values)
    made.attrs["description"] = "These data are computed. What an analysis should find stands here."
    return made


def write_master(path: Path, names: Mapping[str, str], heading: Heading) -> None:
    """The file that shows all of a beamtime: entry name -> dataset file, relative to the master."""
    with h5py.File(path, "w") as master:
        first = next(iter(names))
        master.attrs.update({"NX_class": "NXroot", "default": first, "creator": "VISA demo facility"})
        master.attrs["file_time"] = heading.started.isoformat()
        for name, file in names.items():
            master[name] = h5py.ExternalLink(file, f"/{ENTRY}")
