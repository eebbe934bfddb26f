"""Frames of an experiment, and how many counts each holds: the work that the examples send to the cluster.

python frames.py RAW RESULT    one process does all of it; RESULT is an HDF5 file
"""

import sys
from itertools import islice
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - detectors pack their frames in ways that it can read
import numpy as np

#: Files that are looked into, and tried at most: an experiment may have a hundred thousand.
WANTED, TRIED = 4, 200


def find(raw):
    """The largest array of each of the first files: `[(file, name in it, number of frames)]`."""
    found = []
    for path in islice(sorted(Path(raw).rglob("*.h5")), TRIED):
        largest = None
        try:
            with h5py.File(path, "r") as file:
                for name, it in _arrays(file):
                    if largest is None or it.size > largest[2]:
                        largest = (name, len(it), it.size)
        except OSError:
            continue  # no HDF5 file, or one that is being written
        if largest:
            found.append((str(path), largest[0], largest[1]))
        if len(found) == WANTED:
            break
    return found


def _arrays(file):
    # `visititems` follows no links, so that a master file does not count the data of all others.
    arrays = []
    file.visititems(lambda name, it: arrays.append((name, it)) if isinstance(it, h5py.Dataset) else None)
    return [(name, it) for name, it in arrays if it.ndim >= 2 and it.dtype.kind in "iuf"]


def totals(path, name, start=0, stop=None):
    """The sum over each frame from `start` up to `stop`, one frame in memory at a time."""
    with h5py.File(path, "r") as file:
        frames = file[name]
        stop = len(frames) if stop is None else stop
        return np.array([np.nansum(frames[number], dtype="f8") for number in range(start, stop)])


def write(result, found, values):
    """Keep the totals: one array a file."""
    with h5py.File(result, "w") as file:
        for number, ((path, name, _), one) in enumerate(zip(found, values, strict=True)):
            made = file.create_dataset(f"totals/{number}", data=one)
            made.attrs["file"], made.attrs["frames"] = path, name


if __name__ == "__main__":
    stacks = find(sys.argv[1])
    write(sys.argv[2], stacks, [totals(path, name) for path, name, _ in stacks])
    print(f"{sum(count for *_, count in stacks)} frames of {len(stacks)} files")
