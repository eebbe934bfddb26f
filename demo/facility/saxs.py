"""Small-angle scattering of silica spheres in water, on an absolute scale.

A series of concentrations; the spheres' radii are spread normally about their mean.
"""

from __future__ import annotations

import h5py
import numpy as np

from .nexus import Job, frames, group, plot, start_entry, truth

ENERGY = 12.5  # keV
_CONTRAST = 9.4e10  # 1/cm2: silica in water
_DENSITY = 2.0  # g/cm3
_POINTS = 800


def sphere(q: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Form factor of spheres [radius, q], 1 at q = 0; q in 1/nm, radii in nm."""
    qr = np.outer(radius, q)
    return (3 * (np.sin(qr) - qr * np.cos(qr)) / qr**3) ** 2


def intensity(q: np.ndarray, radius: float, spread: float, grams_per_litre: float) -> np.ndarray:
    """Scattering in 1/cm of spheres whose radii have this mean (nm) and relative spread."""
    radii = radius * (1 + spread * np.linspace(-3, 3, 41))
    weights = np.exp(-(((radii - radius) / (spread * radius)) ** 2) / 2)
    volumes = 4 / 3 * np.pi * (radii * 1e-7) ** 3  # cm3
    fraction = grams_per_litre / 1000 / _DENSITY
    squares = (weights * volumes**2) @ sphere(q, radii)
    return fraction * _CONTRAST**2 * squares / (weights @ volumes)


def write(job: Job) -> None:
    """Make one series' file: water's scattering taken off, errors with every point."""
    radius = round(job.sample.uniform(4, 12), 2)
    spread = round(job.sample.uniform(0.04, 0.09), 3)
    grams = np.round(np.geomspace(0.5, 10, job.size.series), 3)
    q = np.linspace(0.04, 4.0, _POINTS)
    exact = np.stack([intensity(q, radius, spread, g) for g in grams])
    # Rings further out have more pixels; the water below leaves its own noise.
    errors = np.sqrt((exact * 1e-3 + 2e-6) / (q / q[0]))
    measured = exact + job.own.normal(size=exact.shape) * errors

    with h5py.File(job.path, "w") as file:
        entry = start_entry(file, job.heading)
        instrument = entry["instrument"]
        stage = group(instrument, "positioners", "NXcollection", concentration=(grams, "g/l"))
        detector = group(
            instrument, "detector", "NXdetector", description="azimuthally averaged", q=(q, "1/nm")
        )
        curves = frames(detector, "I", measured.astype(np.float32), "1/cm", (1, _POINTS))
        frames(detector, "I_errors", errors.astype(np.float32), "1/cm", (1, _POINTS))
        axes = [stage["concentration"], detector["q"]]
        shown = plot(
            entry, "curves", curves, axes, job.heading.title, "spectrum", I_errors=detector["I_errors"]
        )
        shown.attrs["SILX_style"] = '{"axes_scale_types": ["linear", "log"], "signal_scale_type": "log"}'
        truth(
            entry,
            shape="sphere",
            material="silica in water",
            radius=(radius, "nm"),
            relative_spread=spread,
            contrast=(_CONTRAST, "1/cm^2"),
            density=(_DENSITY, "g/cm^3"),
        )
