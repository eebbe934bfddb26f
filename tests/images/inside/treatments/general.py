"""Pack scattering curves with bitshuffle, read them back, find the spheres' radius; prints JSON."""

import json
import sys

import h5py
import hdf5plugin
import numpy as np
from scipy.optimize import curve_fit

with h5py.File(sys.argv[1]) as file:
    counter, truth = file["1.1/instrument/detector"], file["1.1/truth"]
    curves, errors, q = (counter[name][()] for name in ("I", "I_errors", "q"))
    known = float(truth["radius"][()])

# A detector's frames are packed so: most of their counts are small.
counts = np.repeat(np.round(np.abs(curves) / errors).astype(np.uint32)[:, None], 16, axis=1)
packing = hdf5plugin.Bitshuffle(cname="lz4")
with h5py.File("packed.h5", "w") as file:
    made = file.create_dataset("counts", data=counts, chunks=(1, *counts.shape[1:]), **packing)
    packed = made.id.get_storage_size()
with h5py.File("packed.h5") as file:
    same = bool(np.array_equal(file["counts"][()], counts))


def spheres(q, scale, radius, spread):
    """Scattering of spheres whose radii are spread normally about their mean."""
    radii = radius * (1 + spread * np.linspace(-3, 3, 41))
    weights = np.exp(-(((radii - radius) / (spread * radius)) ** 2) / 2)
    x = np.outer(radii, q)
    form = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    return scale * ((weights * radii**6) @ form) / (weights @ radii**6)


best = None
for guess in np.arange(3, 14, 1.0):
    try:
        found, _ = curve_fit(
            spheres, q, curves[-1], (curves[-1][0], guess, 0.06), sigma=errors[-1],
            bounds=([0, 2, 0.01], [np.inf, 20, 0.3]),
        )  # fmt: skip
    except RuntimeError:
        continue
    misfit = float((((spheres(q, *found) - curves[-1]) / errors[-1]) ** 2).mean())
    if best is None or misfit < best[0]:
        best = misfit, float(found[1])
said = {"radius": best[1], "known radius": known, "misfit": best[0]}
print(json.dumps(said | {"packed": packed, "unpacked": counts.nbytes, "same": same}))
