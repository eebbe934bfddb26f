"""Calibrate a detector with a calibrant's rings, then measure the calibrant's lattice; prints JSON."""

import json
import sys

import h5py
import numpy as np
from pyFAI.calibrant import get_calibrant
from pyFAI.detectors import detector_factory
from pyFAI.geometry import Geometry
from pyFAI.goniometer import SingleGeometry
from scipy.optimize import curve_fit

with h5py.File(sys.argv[1]) as file:
    entry = file["1.1"]
    counter, truth = entry["instrument/detector"], entry["truth"]
    frame, gaps = counter["data"][0].astype("f4"), counter["pixel_mask"][()].astype("i1")
    detector = detector_factory(counter["description"].asstr()[()])
    calibrant = get_calibrant(truth["calibrant"].asstr()[()])
    known = {name: float(truth[name][()]) for name in ("distance", "poni1", "poni2", "rot1", "rot2")}
    calibrant.wavelength = wavelength = float(truth["wavelength"][()])
detector.mask = gaps

# What somebody would say who has clicked on the rings: near, and wrong by several pixels.
pixel = detector.pixel1
guess = Geometry(
    dist=known["distance"] * 1.01,
    poni1=known["poni1"] + 3 * pixel,
    poni2=known["poni2"] - 3 * pixel,
    rot1=known["rot1"],
    rot2=known["rot2"],
    detector=detector,
    wavelength=wavelength,
)
single = SingleGeometry("rings", frame, calibrant=calibrant, detector=detector, geometry=guess)
for rings in (3, 8, 8):
    single.extract_cp(max_rings=rings)
    single.geometry_refinement.refine3(fix=["rot3", "wavelength"])
integrator = single.get_ai()
found = {name: getattr(integrator, {"distance": "dist"}.get(name, name)) for name in known}

pattern = integrator.integrate1d(frame, 3000, unit="2th_rad", mask=gaps, polarization_factor=0.99)


def peak(x, height, centre, width, floor):
    return height * np.exp(-(((x - centre) / width) ** 2) / 2) + floor


# Of the first rings of a primitive cubic lattice: a = d * sqrt(h2 + k2 + l2).
lattice = []
for squares in (1, 2, 3, 4, 5, 6, 8, 9):
    expected = 2 * np.arcsin(wavelength * 1e10 * np.sqrt(squares) / (2 * 4.157))
    near = np.abs(pattern.radial - expected) < 0.005
    x, y = pattern.radial[near], pattern.intensity[near]
    (_, centre, _, _), _ = curve_fit(peak, x, y, (np.ptp(y), x[y.argmax()], 0.001, y.min()))
    lattice.append(wavelength * 1e10 * np.sqrt(squares) / (2 * np.sin(centre / 2)))
print(
    json.dumps(
        {"known": known, "found": found, "lattice": float(np.mean(lattice)), "spread": float(np.std(lattice))}
    )
)
