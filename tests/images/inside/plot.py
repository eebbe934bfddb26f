"""A notebook of one cell that reads and plots HDF5, run by the image's own kernel."""

import h5py
import hdf5plugin
import nbformat
import numpy
from nbclient import NotebookClient

with h5py.File("map.h5", "w") as file:
    file.create_dataset(
        "map", data=numpy.random.rand(100, 100), compression=hdf5plugin.Bitshuffle(cname="zstd")
    )

CELL = """
%matplotlib inline
import h5py, hdf5plugin, matplotlib.pyplot as plt
with h5py.File("map.h5") as file:
    plt.imshow(file["map"][()])
plt.show()
print("uid", __import__("os").getuid())
"""
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
for output in notebook.cells[0].outputs:
    print(output.get("text") or sorted(output["data"]))
