"""Reconstruct a slice on the CPU: nabu's flat field and axis of rotation, astra's FBP; prints JSON."""

import json
import sys

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
    wanted, number, axis = (
        truth["slice"][()],
        int(truth["slice_number"][()]),
        float(truth["rotation_axis"][()]),
    )
angles = np.radians(scan.sample.rotation_angle.to("degree").magnitude)[keys == 0]
pixel = scan.instrument.detector.x_pixel_size.to("mm").magnitude

views = counts[keys == 0]
FlatField(views.shape, {0: counts[keys == 1].mean(0)}, {0: counts[keys == 2].mean(0)}).normalize_radios(views)
found = float(CenterOfRotation().find_shift(views[0], np.fliplr(views[-1]), return_relative_to_middle=True))

sinogram = shift(-np.log(np.clip(views[:, number], 1e-4, None)), (0, -found), order=3, mode="nearest")
width = sinogram.shape[1]
volume = astra.create_vol_geom(width, width)
beams = astra.create_proj_geom("parallel", 1.0, width, angles)
settings = astra.astra_dict("FBP") | {
    "ProjectorId": astra.create_projector("linear", beams, volume),
    "ProjectionDataId": astra.data2d.create("-sino", beams, sinogram),
    "ReconstructionDataId": (result := astra.data2d.create("-vol", volume)),
}
astra.algorithm.run(astra.algorithm.create(settings))
image = astra.data2d.get(result)[::-1] / pixel  # rows from below, as the phantom has them

inside = np.hypot(*(np.mgrid[:width, :width] - (width - 1) / 2)) < 0.95 * width / 2
error = np.sqrt(((image - wanted)[inside] ** 2).mean()) / wanted.max()
print(json.dumps({"axis": found, "known axis": axis, "error": float(error), "cuda": bool(astra.use_cuda())}))
