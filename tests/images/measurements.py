"""One measurement of each technique, made by the demo's facility, small and always the same."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from demo.facility import diffraction, fluorescence, saxs, tomography
from demo.facility.beamtimes import Measurement
from demo.facility.nexus import Heading, Job
from demo.facility.recipe import Size

MADE = {
    diffraction: Measurement("LaB6", "calibration"),
    fluorescence: Measurement("section", "map_0001"),
    saxs: Measurement("silica", "series_0001"),
    tomography: Measurement("phantom", "scan_0001"),
}


def measure(folder: Path) -> None:
    """Write `TECHNIQUE.h5` for each."""
    for module, what in MADE.items():
        name = module.__name__.rpartition(".")[2]
        heading = Heading(
            name, "id00", "ma1", "sample", module.ENERGY, datetime(2026, 1, 1), datetime(2026, 1, 2)
        )
        sample, own = np.random.default_rng(1), np.random.default_rng(2)
        module.write(Job(folder / f"{name}.h5", what, heading, sample, own, Size()))
        (folder / f"{name}.h5").chmod(0o644)
