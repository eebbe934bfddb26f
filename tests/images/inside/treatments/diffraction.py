"""Find a powder frame's peaks with ImageD11 and the rings of the crystal that they lie on; prints JSON."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pyFAI
from ImageD11.columnfile import columnfile
from ImageD11.labelimage import labelimage
from ImageD11.parameters import parameters
from ImageD11.unitcell import unitcell
from scipy.ndimage import uniform_filter

CELL = 4.15692  # LaB6, primitive cubic

with h5py.File(sys.argv[1]) as file:
    counter, truth = file["1.1/instrument/detector"], file["1.1/truth"]
    frame, gaps = counter["data"][0].astype(np.float32), counter["pixel_mask"][()] > 0
    with open("detector.poni", "w") as poni:
        poni.write(truth["poni"].asstr()[()])

# Above the frame's own surroundings by six of their standard deviations: connected pixels are a peak.
frame[gaps] = 0
around = uniform_filter(frame, 41) / np.maximum(uniform_filter((~gaps).astype(np.float32), 41), 0.01)
above = np.where(gaps, 0, (frame - around) / np.sqrt(around + 1)).astype(np.float32)
search = labelimage(frame.shape, fileout="peaks.flt")
search.peaksearch(above, 6, 0)
search.mergelast()
search.finalise()

ai = pyFAI.load("detector.poni")
geometry = ai.getImageD11() | {"wavelength": ai.wavelength * 1e10}  # in angstrom, as ImageD11 has it
peaks = columnfile("peaks.flt")
rest = dict.fromkeys(("t_x", "t_y", "t_z", "wedge", "chi"), 0.0) | {"omegasign": 1.0, "fit_tolerance": 0.05}
known = parameters(**geometry | rest)
peaks.updateGeometry(known)
crystal = unitcell([CELL] * 3 + [90.0] * 3, "P")
# Up to where the whole ring still falls onto the detector.
limit = np.degrees(2 * np.arcsin(geometry["wavelength"] * np.sqrt(20) / (2 * CELL)))
crystal.makerings(2 * np.sin(np.radians(limit / 2)) / geometry["wavelength"] + 1e-3)
angles = np.degrees(2 * np.arcsin(np.array(crystal.ringds) * geometry["wavelength"] / 2))
distance = np.abs(peaks.tth[:, None] - angles[None])
on = distance.min(axis=1) < 0.08
near = peaks.tth < angles[-1] + 0.3
print(
    json.dumps(
        {
            "peaks": int(peaks.nrows),
            "dials": subprocess.run(["dials.version"], capture_output=True, text=True, check=True).stdout,
            "expected": len(angles),
            "rings": len(set(distance.argmin(axis=1)[on].tolist())),
            "on rings": float(on[near].mean()),
            "by chance": float(0.16 * len(angles) / angles[-1]),
        }
    )
)
