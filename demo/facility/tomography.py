"""Tomography scans of the three-dimensional Shepp-Logan phantom, laid out as NXtomo.

An ellipsoid's projection has a closed form, so the scans are exact but for the photons' noise. The
rotation axis stands beside the detector's middle, as it always does.
"""

from __future__ import annotations

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from .nexus import Job, frames, group, plot, start_entry, truth
from .recipe import Size

ENERGY = 35.0  # keV
_PIXEL = 0.02  # mm
_PHOTONS = 20_000  # in a pixel of the open beam
_OFFSET = 100  # counts without beam
_FLATS, _DARKS = 10, 5

# Attenuation, half-axes, centre and rotation about z (degrees) of each ellipsoid, in a sphere of radius 1;
# the first two are the head and its skull, the others are added inside.
SHEPP_LOGAN = np.array(
    [
        # value    a      b      c      x      y      z     phi
        [1.0, 0.6900, 0.920, 0.810, 0.00, 0.0000, 0.00, 0.0],
        [-0.8, 0.6624, 0.874, 0.780, 0.00, -0.0184, 0.00, 0.0],
        [-0.2, 0.1100, 0.310, 0.220, 0.22, 0.0000, 0.00, -18.0],
        [-0.2, 0.1600, 0.410, 0.280, -0.22, 0.0000, 0.00, 18.0],
        [0.1, 0.2100, 0.250, 0.410, 0.00, 0.3500, -0.15, 0.0],
        [0.1, 0.0460, 0.046, 0.050, 0.00, 0.1000, 0.25, 0.0],
        [0.1, 0.0460, 0.046, 0.050, 0.00, -0.1000, 0.25, 0.0],
        [0.1, 0.0460, 0.023, 0.050, -0.08, -0.6050, 0.00, 0.0],
        [0.1, 0.0230, 0.023, 0.020, 0.00, -0.6060, 0.00, 0.0],
        [0.1, 0.0230, 0.046, 0.020, 0.06, -0.6050, 0.00, 0.0],
    ]
)


def cut(ellipsoids: np.ndarray, z: float) -> np.ndarray:
    """The ellipses of one slice: value, half-axes, centre, rotation (rad)."""
    value, a, b, c, x, y, z0, phi = ellipsoids.T
    inside = 1 - ((z - z0) / c) ** 2
    kept = inside > 0
    scale = np.sqrt(inside[kept])
    return np.column_stack(
        [value[kept], a[kept] * scale, b[kept] * scale, x[kept], y[kept], np.radians(phi[kept])]
    )


def project(ellipses: np.ndarray, angles: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Line integrals [angle, position] of one slice; angles in rad."""
    total = np.zeros((len(angles), len(across)))
    for value, a, b, x, y, phi in ellipses:
        half = np.sqrt((a * np.cos(angles - phi)) ** 2 + (b * np.sin(angles - phi)) ** 2)[:, None]
        from_centre = across[None, :] - (x * np.cos(angles) + y * np.sin(angles))[:, None]
        chord = np.sqrt(np.maximum(half**2 - from_centre**2, 0)) / half**2
        total += 2 * value * a * b * chord
    return total


def image(ellipses: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The slice itself [y, x], on a grid of these positions."""
    x, y = np.meshgrid(across, across)
    total = np.zeros_like(x)
    for value, a, b, x0, y0, phi in ellipses:
        along = ((x - x0) * np.cos(phi) + (y - y0) * np.sin(phi)) / a
        beside = ((y - y0) * np.cos(phi) - (x - x0) * np.sin(phi)) / b
        total += value * (along**2 + beside**2 <= 1)
    return total


def write(job: Job) -> None:
    """Make one scan's file: darks, flats and projections over half a turn."""
    radius = job.size.columns * _PIXEL / 2  # mm, of the sphere that the phantom is given in
    attenuation = round(job.sample.uniform(2.0, 3.0) / radius, 4)  # 1/mm where the phantom is 1
    axis = round(job.own.uniform(-6, 6) * job.size.columns / 256, 2)  # pixels right of the middle
    phantom = SHEPP_LOGAN.copy()
    phantom[4:, 0] *= job.sample.uniform(0.7, 1.6, len(phantom) - 4)

    angles = np.linspace(0, np.pi, job.size.angles)
    middle = (job.size.columns - 1) / 2
    grid = (np.arange(job.size.columns) - middle) / (job.size.columns / 2)
    heights = np.linspace(-0.35, 0.35, job.size.slices)
    integrals = np.stack(
        [project(cut(phantom, z), angles, grid - axis / (job.size.columns / 2)) for z in heights], axis=1
    )
    beam = _beam(job.own, job.size)
    expected = beam * np.exp(-attenuation * radius * integrals)
    turning = np.concatenate(
        [
            np.broadcast_to(np.float64(_OFFSET), (_DARKS, *beam.shape)),
            np.broadcast_to(beam + _OFFSET, (_FLATS, *beam.shape)),
            expected + _OFFSET,
        ]
    )
    counts = job.own.poisson(turning).astype(np.uint16)
    keys = np.repeat(np.uint8([2, 1, 0]), [_DARKS, _FLATS, job.size.angles])
    degrees = np.concatenate([np.zeros(_DARKS + _FLATS), np.degrees(angles)])

    with h5py.File(job.path, "w") as file:
        entry = start_entry(file, job.heading)
        entry["definition"] = "NXtomo"
        entry.attrs["definition"] = "NXtomo"  # where the ESRF's software looks for it
        detector = group(
            entry["instrument"],
            "detector",
            "NXdetector",
            image_key=keys,
            image_key_control=keys.astype(np.int8),
            x_pixel_size=(_PIXEL * 1e-3, "m"),
            y_pixel_size=(_PIXEL * 1e-3, "m"),
            distance=(0.1, "m"),
            count_time=(np.full(len(keys), 0.05), "s"),
            x=((np.arange(job.size.columns) - middle) * _PIXEL, "mm"),
        )
        data = frames(detector, "data", counts, "counts", (1, job.size.slices, job.size.columns))
        sample = entry["sample"]
        sample["rotation_angle"] = degrees
        sample["rotation_angle"].attrs["units"] = "degree"

        line = group(entry, "line_integrals", "NXcollection", angle=(np.degrees(angles), "degree"))
        chosen = job.size.slices // 2
        sinogram = frames(
            line, "sinogram", sinogram_of(counts, keys, chosen), "", (job.size.angles, job.size.columns)
        )
        plot(
            entry,
            "sinogram",
            sinogram,
            [line["angle"], detector["x"]],
            f"{job.heading.title}, slice {chosen}",
            "image",
        )
        turned = sample["rotation_angle"]
        plot(
            entry,
            "data",
            data,
            [turned, ".", "."],
            job.heading.title,
            "image",
            image_key=detector["image_key"],
        )
        truth(
            entry,
            phantom="Shepp-Logan, three-dimensional",
            ellipsoids=phantom,
            attenuation=(attenuation, "1/mm"),
            rotation_axis=(axis, "pixel"),
            slice_heights=heights,
            slice_number=chosen,
            slice=(attenuation * image(cut(phantom, heights[chosen]), grid), "1/mm"),
        )


def sinogram_of(counts: np.ndarray, keys: np.ndarray, chosen: int) -> np.ndarray:
    """One slice's line integrals [angle, column] from the counts, by the scan's own darks and flats."""
    dark = counts[keys == 2, chosen].mean(axis=0)
    flat = counts[keys == 1, chosen].mean(axis=0) - dark
    left = np.maximum(counts[keys == 0, chosen] - dark, 1)
    return np.log(flat / left).astype(np.float32)


def _beam(rng: np.random.Generator, size: Size) -> np.ndarray:
    """The open beam: brighter in the middle, uneven as a scintillator is."""
    y, x = np.mgrid[-1 : 1 : size.slices * 1j, -1 : 1 : size.columns * 1j]
    spots = gaussian_filter(rng.normal(size=y.shape), 2)
    return _PHOTONS * np.exp(-(x**2) / 4 - y**2 / 3) * (1 + 0.05 * spots / spots.std())
