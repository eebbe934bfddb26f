"""Reconstruct a slice on the CPU, by nabu's own command and by astra; prints JSON."""

import json
import subprocess
import sys
from pathlib import Path

import astra
import h5py
import numpy as np
from nabu.estimation.cor import CenterOfRotation
from nabu.preproc.flatfield import FlatField
from nxtomo.application.nxtomo import NXtomo
from scipy.ndimage import shift

scan = NXtomo().load(sys.argv[1], "1.1")
keys = np.array([int(key.value) for key in scan.instrument.detector.image_key_control])
with h5py.File(sys.argv[1]) as file:
    counts = file["1.1/instrument/detector/data"][()].astype("f4")
    truth = file["1.1/truth"]
    wanted, number = truth["slice"][()], int(truth["slice_number"][()])
    axis = float(truth["rotation_axis"][()])
angles = np.radians(scan.sample.rotation_angle.to("degree").magnitude)[keys == 0]
pixel = scan.instrument.detector.x_pixel_size.to("mm").magnitude
width = counts.shape[2]
inside = np.hypot(*(np.mgrid[:width, :width] - (width - 1) / 2)) < 0.95 * width / 2


def error(image):
    """Root mean square of what differs, in parts of the largest value. Rows are from below in the phantom."""
    return float(np.sqrt(((image[::-1] - wanted)[inside] ** 2).mean()) / wanted.max())


# With nabu's command, as tomwer starts it: by OpenCL, which pocl brings to CPUs.
SETTINGS = f"""[dataset]
location = {sys.argv[1]}
darks_flats_dir = {Path("reduced").resolve()}
[reconstruction]
method = FBP
rotation_axis_position = sliding-window
enable_halftomo = 0
start_z = {number}
end_z = {number}
[output]
location = {Path("slices").resolve()}
file_format = hdf5
"""
for folder in ("reduced", "slices"):
    Path(folder).mkdir()
Path("nabu.conf").write_text(SETTINGS)
done = subprocess.run(["nabu", "nabu.conf"], capture_output=True, text=True)
if done.returncode:
    raise SystemExit(done.stdout + done.stderr)
(slices,) = [path for path in Path("slices").glob("*.h*5") if path.is_file()]
with h5py.File(slices) as file:
    found = []
    file.visititems(lambda _, it: found.append(it) if getattr(it, "size", 0) == width**2 else None)
    by_nabu = np.squeeze(found[0][()]) / 10  # 1/cm

# Step by step: flat field and axis by nabu, filtered back-projection by astra.
views = counts[keys == 0]
FlatField(views.shape, {0: counts[keys == 1].mean(0)}, {0: counts[keys == 2].mean(0)}).normalize_radios(views)
found_axis = float(
    CenterOfRotation().find_shift(views[0], np.fliplr(views[-1]), return_relative_to_middle=True)
)
sinogram = shift(-np.log(np.clip(views[:, number], 1e-4, None)), (0, -found_axis), order=3, mode="nearest")
volume = astra.create_vol_geom(width, width)
beams = astra.create_proj_geom("parallel", 1.0, width, angles)
settings = astra.astra_dict("FBP") | {
    "ProjectorId": astra.create_projector("linear", beams, volume),
    "ProjectionDataId": astra.data2d.create("-sino", beams, sinogram),
    "ReconstructionDataId": (result := astra.data2d.create("-vol", volume)),
}
astra.algorithm.run(astra.algorithm.create(settings))

said = {"axis": found_axis, "known axis": axis, "cuda": bool(astra.use_cuda())}
print(json.dumps(said | {"astra": error(astra.data2d.get(result) / pixel), "nabu": error(by_nabu)}))
