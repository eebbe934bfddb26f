"""Fit a map's summed spectrum with PyMca, and name its peaks by xraylarch's tables; prints JSON."""

import json
import os
import sys

import h5py
import numpy as np
from larch.xray import xray_lines
from PyMca5 import PyMcaDataDir
from PyMca5.PyMcaIO import ConfigDict
from PyMca5.PyMcaPhysics.xrf import ClassMcaTheory
from scipy.signal import find_peaks

with h5py.File(sys.argv[1]) as file:
    entry = file["1.1"]
    spectrum = entry["instrument/detector/spectrum"][()].astype(float)
    energies = entry["instrument/detector/energy"][()]
    beam = float(entry["instrument/beam/incident_energy"][()])
    truth = entry["truth"]
    present, absent = (list(truth[name].asstr()[()]) for name in ("elements", "absent"))
    counts = truth["counts_per_point"][()].sum(axis=(1, 2))

settings = ConfigDict.ConfigDict()
settings.read(os.path.join(PyMcaDataDir.PYMCA_DATA_DIR, "McaTheory.cfg"))
settings["peaks"] = {element: ["K"] for element in present + absent}
for attenuator in settings["attenuators"].values():
    attenuator[0] = 0
settings["fit"] |= {
    "energy": [beam], "energyweight": [1.0], "energyflag": [1], "energyscatter": [1],
    "xmin": 150, "xmax": 1450, "use_limit": 1, "scatterflag": 1, "escapeflag": 0, "sumflag": 0,
    "stripflag": 0, "continuum": 1, "hypermetflag": 1, "linearfitflag": 0,
}  # fmt: skip
settings["detector"] |= {
    "zero": 0.0, "deltazero": 0.02, "fixedzero": 0, "gain": energies[1], "deltagain": 0.0005, "fixedgain": 0,
    "noise": 0.1, "deltanoise": 0.05, "fixednoise": 0, "fano": 0.115, "deltafano": 0.05, "fixedfano": 0,
}  # fmt: skip
theory = ClassMcaTheory.McaTheory()
theory.configure(settings)
theory.setData(np.arange(len(spectrum)), spectrum)
theory.estimate()
_, result = theory.startfit(digest=1)
areas = {
    element: result[f"{element} K"]["fitarea"] for element in present + absent if f"{element} K" in result
}

# Without a fit: peaks that stand out, and the elements whose K-alpha line is there.
floor = np.sqrt(spectrum + 1)
found, _ = find_peaks(spectrum, prominence=30 * floor, width=6)
lines = {it: xray_lines(it)["Ka1"].energy / 1000 for it in present + absent}
peaks = [it for it, energy in lines.items() if np.min(np.abs(energies[found] - energy)) < 0.04]
print(
    json.dumps(
        {
            "present": present,
            "absent": absent,
            "known": dict(zip(present, counts.tolist(), strict=True)),
            "areas": {element: float(areas.get(element, 0)) for element in present + absent},
            "peaks": peaks,
            "chisq": float(result["chisq"]),
        }
    )
)
