"""Powder diffraction frames of reference materials, in a geometry that pyFAI knows exactly.

`LaB6_calibration` is one frame of the calibrant; `CeO2_ramp` a series while ceria is heated, whose rings
move inwards as its lattice grows.
"""

from __future__ import annotations

import io
from functools import cache

import h5py
import numpy as np
from pyFAI.calibrant import get_calibrant
from pyFAI.detectors import Detector, detector_factory
from pyFAI.integrator.azimuthal import AzimuthalIntegrator
from pyFAI.io.ponifile import PoniFile

from .nexus import Job, frames, group, plot, start_entry, truth

ENERGY = 42.0  # keV
_POLARIZATION = 0.99
_RING_WIDTH = 0.0009  # rad, standard deviation
_CERIA_EXPANSION = 1.1e-5  # per kelvin
_ROOM = 295.0  # K


@cache
def _detector(name: str) -> Detector:
    return detector_factory(name)


def geometry(rng: np.random.Generator, detector: Detector) -> AzimuthalIntegrator:
    """Where the detector stands: somewhat off centre and tilted, as it always is."""
    height, width = (
        n * pixel for n, pixel in zip(detector.shape, (detector.pixel1, detector.pixel2), strict=True)
    )
    return AzimuthalIntegrator(
        dist=round(rng.uniform(0.18, 0.30), 5),
        poni1=round(height * rng.uniform(0.45, 0.55), 6),
        poni2=round(width * rng.uniform(0.45, 0.55), 6),
        rot1=round(rng.uniform(-0.02, 0.02), 5),
        rot2=round(rng.uniform(-0.02, 0.02), 5),
        detector=detector,
        wavelength=12.398419843e-10 / ENERGY,
    )


def powder_pattern(calibrant: str, two_theta: np.ndarray, wavelength: float, strain: float) -> np.ndarray:
    """Counts of a powder's rings at these angles (rad), with its lattice stretched by `strain`."""
    counts = np.zeros_like(two_theta)
    for reflection in _reflections(calibrant):
        sine = wavelength * 1e10 / (2 * reflection.dspacing * (1 + strain))
        if sine < np.sin(two_theta[-1] / 2 + 0.01):
            ring = (two_theta - 2 * np.arcsin(sine)) / _RING_WIDTH
            near = np.abs(ring) < 8
            counts[near] += reflection.intensity * np.exp(-(ring[near] ** 2) / 2)
    return 4 * counts + 12 * np.exp(-two_theta / 0.15) + 2


@cache
def _reflections(name: str) -> tuple:
    calibrant = get_calibrant(name)
    calibrant.count_registered_dspacing()  # reads the file
    return tuple(r for r in calibrant.config.reflections if r.intensity)


def poni_text(ai: AzimuthalIntegrator) -> str:
    """The geometry as pyFAI's own file has it, without the remarks, which tell the time of writing."""
    whole = io.StringIO()
    PoniFile(ai).write(whole)
    return "".join(line for line in whole.getvalue().splitlines(keepends=True) if not line.startswith("#"))


def write(job: Job) -> None:
    """Make one dataset's file, and the detector's geometry beside it."""
    detector = _detector(job.size.detector)
    ai = geometry(job.sample, detector)
    two_theta = np.linspace(0, ai.center_array(detector.shape, unit="2th_rad").max(), 6000)
    gaps = np.zeros(detector.shape, bool) if detector.mask is None else detector.mask.astype(bool)
    ramp = job.what.dataset == "ramp"
    kelvin = np.linspace(_ROOM, job.own.uniform(900, 1300), job.size.ramp) if ramp else np.array([_ROOM])
    strains = _CERIA_EXPANSION * (kelvin - _ROOM)
    stack = np.empty((len(kelvin), *detector.shape), np.int32)
    for frame, strain in zip(stack, strains, strict=True):
        pattern = powder_pattern(job.what.collection, two_theta, ai.wavelength, strain)
        expected = ai.calcfrom1d(two_theta, pattern, dim1_unit="2th_rad", polarization_factor=_POLARIZATION)
        frame[...] = np.where(gaps, -1, job.own.poisson(expected))

    with h5py.File(job.path, "w") as file:
        entry = start_entry(file, job.heading)
        instrument = entry["instrument"]
        counter = group(
            instrument,
            "detector",
            "NXdetector",
            description=job.size.detector,
            distance=(ai.dist, "m"),
            x_pixel_size=(detector.pixel2, "m"),
            y_pixel_size=(detector.pixel1, "m"),
            pixel_mask=gaps.astype(np.uint32),
        )
        data = frames(counter, "data", stack, "counts", (1, *detector.shape))
        positioners = group(instrument, "positioners", "NXcollection", temperature=(kelvin, "K"))
        shown = {"temperature": positioners["temperature"]} if ramp else {}
        plot(entry, "frames", data, [*(shown.values() or ["."]), ".", "."], job.heading.title, "image")
        truth(
            entry,
            calibrant=job.what.collection,
            poni=poni_text(ai),
            distance=(ai.dist, "m"),
            poni1=(ai.poni1, "m"),
            poni2=(ai.poni2, "m"),
            rot1=(ai.rot1, "rad"),
            rot2=(ai.rot2, "rad"),
            rot3=(ai.rot3, "rad"),
            wavelength=(ai.wavelength, "m"),
            polarization_factor=_POLARIZATION,
            lattice_strain=strains,
        )
    job.path.with_name("detector.poni").write_text(poni_text(ai))
