"""The demo's measurements are the physics they claim to be: an ordinary analysis finds the truth in them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np
import pyFAI
import pytest
import silx.io
from pyFAI.calibrant import get_calibrant
from scipy.optimize import nnls
from scipy.signal import find_peaks
from silx.io.nxdata import get_default

from demo.facility import diffraction, fluorescence, saxs, tomography
from demo.facility.beamtimes import MEASUREMENTS, Measurement
from demo.facility.nexus import Heading, Job, write_master
from demo.facility.recipe import Size

SIZE = Size("Pilatus300k", ramp=3, angles=180, slices=6, columns=128, map_rows=16, map_columns=20, series=3)
TECHNIQUES = {m.__name__.rsplit(".", 1)[1]: m for m in (diffraction, tomography, fluorescence, saxs)}
SEEDS = (2026003, 2026017)


def write(folder: Path, technique: str, what: Measurement, seed: int) -> Path:
    module, path = TECHNIQUES[technique], folder / f"{what.name}.h5"
    began = datetime(2025, 3, 12, 9, tzinfo=UTC)
    heading = Heading(f"A study: {what.name}", "id00", "hg1", what.collection, module.ENERGY, began, began)
    own = np.random.default_rng([seed, crc32(what.name.encode())])
    module.write(Job(path, what, heading, np.random.default_rng(seed), own, SIZE))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All datasets: (technique, number of the dataset, seed) -> path."""
    paths = {}
    for seed in SEEDS:
        for technique, measurements in MEASUREMENTS.items():
            folder = tmp_path_factory.mktemp(technique)
            for number, what in enumerate(measurements):
                paths[technique, number, seed] = write(folder, technique, Measurement(*what), seed)
    return paths


@pytest.fixture(params=SEEDS)
def seed(request):
    return request.param


def truth(path: Path) -> dict:
    with h5py.File(path) as file:
        return {name: value[()] for name, value in file["1.1/truth"].items()}


def ring_centres(path: Path, number: int) -> tuple[np.ndarray, np.ndarray, pyFAI.AzimuthalIntegrator]:
    """A frame's integrated pattern, by the geometry file beside it: angles (degrees) of its peaks."""
    ai = pyFAI.load(str(path.with_name("detector.poni")))
    with h5py.File(path) as file:
        detector = file["1.1/instrument/detector"]
        frame, mask = detector["data"][number], detector["pixel_mask"][()]
    assert frame.shape == ai.detector.shape
    pattern = ai.integrate1d(frame, 2000, unit="2th_deg", mask=mask, polarization_factor=0.99)
    floor = np.median(pattern.intensity[pattern.intensity > 0])
    spacing = pattern.radial[1] - pattern.radial[0]
    peaks, _ = find_peaks(pattern.intensity, prominence=floor, distance=int(0.1 / spacing))
    centres = []
    for peak in peaks:
        near = np.abs(pattern.radial - pattern.radial[peak]) < 0.06
        above = np.maximum(pattern.intensity[near] - pattern.intensity[near].min(), 0)
        centres.append((pattern.radial[near] * above).sum() / above.sum())
    return np.array(centres), peaks, ai


@pytest.mark.parametrize(("number", "name", "other"), [(0, "LaB6", "CeO2"), (1, "CeO2", "LaB6")])
def test_rings_are_the_calibrants(made, seed, number, name, other):
    found, _, ai = ring_centres(made["diffraction", number, seed], 0)
    assert truth(made["diffraction", number, seed])["calibrant"].decode() == name

    def missed_by(calibrant: str) -> np.ndarray:
        known = get_calibrant(calibrant)
        known.wavelength = ai.wavelength
        rings = np.degrees(known.get_2th())
        strong = [r.intensity is not None and r.intensity > 0 for r in known.config.reflections]
        rings = np.array([ring for ring, s in zip(rings, strong, strict=False) if s])
        return np.array([np.abs(rings - f).min() for f in found])

    assert len(found) >= 5
    assert missed_by(name).max() < 0.01
    assert missed_by(other).max() > 0.1


def test_rings_move_inwards_as_much_as_the_lattice_grows(made, seed):
    path = made["diffraction", 1, seed]
    strains = truth(path)["lattice_strain"]
    cold, _, _ = ring_centres(path, 0)
    hot, _, _ = ring_centres(path, SIZE.ramp - 1)
    outer = cold.max()
    moved_to = hot[np.abs(hot - outer).argmin()]
    strain = np.sin(np.radians(outer / 2)) / np.sin(np.radians(moved_to / 2)) - 1
    assert strains[-1] > 0.005
    assert strain == pytest.approx(strains[-1], rel=0.05)


def test_rings_fade_where_the_polarised_beam_scatters_less(made, seed):
    path = made["diffraction", 1, seed]
    ai = pyFAI.load(str(path.with_name("detector.poni")))
    with h5py.File(path) as file:
        detector = file["1.1/instrument/detector"]
        frame, mask = detector["data"][()].sum(axis=0), detector["pixel_mask"][()]

    def sideways_to_upwards(factor: float | None) -> float:
        means = []
        for middle in (0, 90):
            pattern = ai.integrate1d(
                frame,
                40,  # few enough pixels a bin that gaps do not shift its mean angle
                unit="2th_deg",
                radial_range=(7, 9),
                azimuth_range=(middle - 25, middle + 25),
                mask=mask,
                polarization_factor=factor,
            )
            means.append(pattern.intensity.sum())
        return means[0] / means[1]

    assert sideways_to_upwards(truth(path)["polarization_factor"]) == pytest.approx(1, abs=0.006)
    assert sideways_to_upwards(None) < 0.99


def test_the_geometry_is_told_alike_in_file_and_truth(made, seed):
    path = made["diffraction", 0, seed]
    ai, told = pyFAI.load(str(path.with_name("detector.poni"))), truth(path)
    for name, key in (("dist", "distance"), *((k, k) for k in ("poni1", "poni2", "rot1", "rot2", "rot3"))):
        assert getattr(ai, name) == pytest.approx(told[key])
    assert truth(made["diffraction", 1, seed])["distance"] == told["distance"]


def reconstruct(sinogram: np.ndarray, angles: np.ndarray, axis: float) -> np.ndarray:
    """Filtered back-projection in the plainest form, per pixel."""
    count, width = sinogram.shape
    padded = 2 * width
    kernel = np.zeros(padded)
    kernel[0] = 0.25
    odd = np.arange(1, width, 2)
    kernel[odd] = kernel[-odd] = -1 / (np.pi * odd) ** 2
    filtered = np.fft.irfft(np.fft.rfft(sinogram, padded) * np.fft.rfft(kernel).real, padded)[:, :width]
    middle = (width - 1) / 2
    x, y = np.meshgrid(np.arange(width) - middle, np.arange(width) - middle)
    columns = np.arange(width)
    total = sum(
        np.interp(x * np.cos(a) + y * np.sin(a) + middle + axis, columns, line)
        for a, line in zip(angles, filtered, strict=True)
    )
    return total * np.pi / count


@pytest.mark.parametrize("number", [0, 1])
def test_the_slice_that_is_reconstructed_is_the_phantom(made, seed, number):
    path = made["tomography", number, seed]
    told = truth(path)
    with h5py.File(path) as file:
        detector = file["1.1/instrument/detector"]
        counts, keys = detector["data"][()], detector["image_key"][()]
        pixel = detector["x_pixel_size"][()] * 1e3
        angles = np.radians(file["1.1/sample/rotation_angle"][()][keys == 0])
        kept = file["1.1/sinogram/sinogram"][()]
    sinogram = tomography.sinogram_of(counts, keys, told["slice_number"])
    assert np.array_equal(sinogram, kept)
    # The last projection is the first one turned over.
    found = reconstruct(sinogram[:-1], angles[:-1], told["rotation_axis"]) / pixel
    wrong = reconstruct(sinogram[:-1], angles[:-1], told["rotation_axis"] + 3) / pixel
    y, x = np.mgrid[-1 : 1 : found.shape[0] * 1j, -1 : 1 : found.shape[1] * 1j]
    inside = x**2 + y**2 < 0.95**2

    def likeness(image: np.ndarray) -> float:
        return float(np.corrcoef(image[inside], told["slice"][inside])[0, 1])

    assert likeness(found) > 0.93
    assert likeness(wrong) < likeness(found) - 0.1
    assert likeness(found.T) < likeness(found) - 0.1
    # Attenuation is right on its scale too, in the wide middle of the head.
    brain = inside & (np.abs(told["slice"] / told["attenuation"] - 0.2) < 1e-6)
    assert np.median(found[brain]) == pytest.approx(0.2 * told["attenuation"], rel=0.1)


def test_both_scans_show_one_sample(made, seed):
    first, second = (truth(made["tomography", n, seed]) for n in (0, 1))
    assert np.array_equal(first["ellipsoids"], second["ellipsoids"])
    assert first["rotation_axis"] != second["rotation_axis"]


@pytest.mark.parametrize("number", [0, 1])
def test_the_named_elements_are_there_and_no_other(made, seed, number):
    path = made["fluorescence", number, seed]
    told = truth(path)
    present = [e.decode() for e in told["elements"]]
    absent = [e.decode() for e in told["absent"]]
    assert len(present) == 5 and {*present, *absent} == set(fluorescence.LINES)
    with h5py.File(path) as file:
        spectrum = file["1.1/spectrum/spectrum"][()].astype(float)
        energy = file["1.1/spectrum/energy"][()]
    # A fit of all elements' lines above what the beam scatters.
    names = list(fluorescence.LINES)
    shapes = [fluorescence.line_shape(energy, e) for e in names] + [fluorescence.scatter(energy)]
    weights = 1 / np.sqrt(spectrum + 1)
    amounts, _ = nnls(np.array(shapes).T * weights[:, None], spectrum * weights)
    found = dict(zip(names, amounts, strict=False))
    expected = told["counts_per_point"].sum(axis=(1, 2))
    for element, counts in zip(present, expected, strict=True):
        assert found[element] == pytest.approx(counts, rel=0.03), element
    for element in absent:
        assert found[element] < 0.01 * expected.min(), element
    # And without knowing any shape: a peak where a handbook has it, none where it has not.
    peaks = energy[find_peaks(spectrum, prominence=0.02 * spectrum.max())[0]]
    assert np.abs(peaks - 6.40).min() < 0.02  # iron is in every sample
    lines = [line for e in present for line in fluorescence.LINES[e]]
    for element in absent:
        alpha = fluorescence.LINES[element][0]
        if min(abs(alpha - line) for line in lines) > 0.25:
            assert np.abs(peaks - alpha).min() > 0.15, element


def test_maps_show_each_element_in_its_own_places(made, seed):
    path = made["fluorescence", 0, seed]
    with h5py.File(path) as file:
        spectra, energy = file["1.1/spectra/spectra"][()], file["1.1/spectra/energy"][()]
    told = truth(path)
    number = [e.decode() for e in told["elements"]].index("Ca")
    window = np.abs(energy - 3.69) < 0.12
    counted = spectra[..., window].sum(axis=2)
    assert np.corrcoef(counted.ravel(), told["counts_per_point"][number].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("number", [0, 1])
def test_spheres_have_the_radius_they_claim(made, seed, number):
    path = made["saxs", number, seed]
    told = truth(path)
    with h5py.File(path) as file:
        curves, q = file["1.1/curves/I"][()], file["1.1/curves/q"][()]
        grams = file["1.1/curves/concentration"][()]
        errors = file["1.1/curves/I_errors"][()]
    radius, spread = told["radius"], told["relative_spread"]
    # Guinier's law; large spheres weigh more in it, by the moments of the radii.
    radii = radius * (1 + spread * np.linspace(-3, 3, 41))
    weights = np.exp(-(((radii - radius) / (spread * radius)) ** 2) / 2)
    gyration = np.sqrt(0.6 * (weights @ radii**8) / (weights @ radii**6))
    low = q * gyration < 0.9
    slope, height = np.polyfit(q[low] ** 2, np.log(curves[-1][low]), 1)
    assert np.sqrt(-3 * slope) == pytest.approx(gyration, rel=0.03)
    # Twice as much scatters twice as much; over many points, as one alone is as noisy as it says.
    scattered = curves[:, low].sum(axis=1)
    assert scattered / scattered[-1] == pytest.approx(grams / grams[-1], rel=0.02)
    spread_of_points = (curves[-1] - curves[0] * grams[-1] / grams[0]) / np.hypot(
        errors[-1], errors[0] * grams[-1] / grams[0]
    )
    assert np.std(spread_of_points) == pytest.approx(1, rel=0.15)
    # The absolute scale: I(0) = concentration x contrast^2 x volume / density.
    volume = 4 / 3 * np.pi * (weights @ radii**6) / (weights @ radii**3) * 1e-21
    forward = grams[-1] / 1000 / told["density"] * told["contrast"] ** 2 * volume
    assert np.exp(height) == pytest.approx(forward, rel=0.03)


def test_seeds_make_different_experiments(made):
    for technique, key in (
        ("diffraction", "distance"),
        ("tomography", "ellipsoids"),
        ("fluorescence", "counts_per_point"),
        ("saxs", "radius"),
    ):
        first, second = (truth(made[technique, 0, seed])[key] for seed in SEEDS)
        assert not np.array_equal(first, second), technique


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_viewers_plot_it_at_once(made, tmp_path, technique):
    for number in (0, 1):
        path = made[technique, number, SEEDS[0]]
        master = path.parent / "master.h5"
        began = datetime(2025, 3, 12, 9, tzinfo=UTC)
        heading = Heading("A study", "id00", "hg1", "x", 1.0, began, began)
        write_master(master, {"first_1.1": path.name}, heading)
        for file_name in (path, master):
            with silx.io.open(str(file_name)) as file:
                shown = get_default(file, validate=True)
                assert shown is not None and shown.is_valid
                assert shown.title.startswith("A study")
                style = file["first_1.1" if file_name == master else "1.1"]
                for name in style:
                    if style[name].attrs.get("NX_class") == "NXdata":
                        plotted = get_default(style[name], validate=True)
                        assert plotted is not None and plotted.is_valid, name


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_number_with_a_dimension_has_its_unit(made, technique):
    missing = []

    def look(name: str, found: h5py.Dataset | h5py.Group) -> None:
        counted = ("image_key", "image_key_control", "pixel_mask", "truth", "definition")
        if (
            isinstance(found, h5py.Dataset)
            and found.dtype.kind in "fiu"
            and not any(c in name for c in counted)
            and "units" not in found.attrs
        ):
            missing.append(name)

    with h5py.File(made[technique, 0, SEEDS[0]]) as file:
        file.visititems(look)
        style = file["1.1"].attrs["default"]
        assert file["1.1"][style].attrs["NX_class"] == "NXdata"
        if "SILX_style" in file["1.1"][style].attrs:
            json.loads(file["1.1"][style].attrs["SILX_style"])
    assert missing == []
