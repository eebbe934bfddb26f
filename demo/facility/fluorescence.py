"""X-ray fluorescence maps: at each point a spectrum of the elements there, as a silicon detector sees it."""

from __future__ import annotations

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from .nexus import Job, frames, group, plot, start_entry, truth

ENERGY = 13.5  # keV
CHANNELS, _GAIN = 1500, 0.01  # keV a channel
_STEP = 1.5  # micrometres between points

#: K-alpha and K-beta energies (keV) of the elements that a sample may hold.
LINES = {
    "K": (3.313, 3.590),
    "Ca": (3.691, 4.013),
    "Ti": (4.509, 4.932),
    "Mn": (5.896, 6.490),
    "Fe": (6.400, 7.058),
    "Ni": (7.473, 8.265),
    "Cu": (8.041, 8.905),
    "Zn": (8.632, 9.572),
    "As": (10.532, 11.726),
    "Se": (11.209, 12.496),
}
_BETA_TO_ALPHA = 0.14
_ALWAYS = ("Ca", "Fe")
_FANO, _PAIR, _NOISE = 0.115, 3.65e-3, 0.045  # of silicon; keV


def width(energy: float) -> float:
    """Standard deviation (keV) of a line at this energy: electronic noise and counting of pairs."""
    return float(np.sqrt(_NOISE**2 + _FANO * _PAIR * energy))


def line_shape(energies: np.ndarray, element: str) -> np.ndarray:
    """An element's spectrum for one count, K-alpha and K-beta together."""
    alpha, beta = LINES[element]
    return sum(
        share * _GAIN / (width(e) * np.sqrt(2 * np.pi)) * np.exp(-(((energies - e) / width(e)) ** 2) / 2)
        for share, e in ((1 / (1 + _BETA_TO_ALPHA), alpha), (_BETA_TO_ALPHA / (1 + _BETA_TO_ALPHA), beta))
    )


def scatter(energies: np.ndarray) -> np.ndarray:
    """What the beam leaves by scattering at 90 degrees: elastic line, Compton line, a falling floor."""
    compton = ENERGY / (1 + ENERGY / 510.999)
    peaks = sum(
        counts * _GAIN / (s * np.sqrt(2 * np.pi)) * np.exp(-(((energies - e) / s) ** 2) / 2)
        for counts, e, s in ((60, ENERGY, width(ENERGY)), (140, compton, 2 * width(compton)))
    )
    return peaks + 0.05 * np.exp(-energies / 6) * (energies > 0.8)


def write(job: Job) -> None:
    """Make one map's file; each map of a beamtime shows another place of the same sample."""
    others = [e for e in LINES if e not in _ALWAYS]
    elements = [*_ALWAYS, *sorted(job.sample.choice(others, size=3, replace=False))]
    shape = (job.size.map_rows, job.size.map_columns)
    energies = (np.arange(CHANNELS) * _GAIN).astype(np.float64)
    amounts = np.stack([job.own.uniform(80, 400) * _patches(job.own, shape) for _ in elements])
    shapes = np.stack([line_shape(energies, e) for e in elements])
    expected = np.tensordot(amounts, shapes, axes=(0, 0)) + scatter(energies)
    spectra = job.own.poisson(expected).astype(np.uint16)

    with h5py.File(job.path, "w") as file:
        entry = start_entry(file, job.heading)
        instrument = entry["instrument"]
        detector = group(
            instrument, "detector", "NXdetector", description="silicon drift", energy=(energies, "keV")
        )
        data = frames(detector, "spectra", spectra, "counts", (8, 8, CHANNELS))
        detector["total"] = spectra.sum(axis=2, dtype=np.uint32)
        detector["spectrum"] = spectra.sum(axis=(0, 1), dtype=np.uint32)
        for name in ("total", "spectrum"):
            detector[name].attrs["units"] = "counts"
        stage = group(
            instrument,
            "positioners",
            "NXcollection",
            y=(np.arange(shape[0]) * _STEP, "um"),
            x=(np.arange(shape[1]) * _STEP, "um"),
        )
        y, x, energy = stage["y"], stage["x"], detector["energy"]
        plot(entry, "map", detector["total"], [y, x], job.heading.title, "image")
        plot(
            entry, "spectrum", detector["spectrum"], [energy], f"{job.heading.title}, all points", "spectrum"
        )
        plot(entry, "spectra", data, [y, x, energy], f"{job.heading.title}, each point", "spectrum")
        truth(
            entry,
            elements=elements,
            absent=sorted(set(LINES) - set(elements)),
            counts_per_point=(amounts, "counts"),
            k_alpha=([LINES[e][0] for e in elements], "keV"),
        )


def _patches(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Where an element is, 0 to 1: grains some points wide."""
    smooth = gaussian_filter(rng.normal(size=shape), min(shape) / 12, mode="wrap")
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return smooth**2
