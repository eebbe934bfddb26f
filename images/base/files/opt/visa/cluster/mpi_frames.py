"""The same as frames.py, by as many processes as there are: each takes every so-manieth frame.

srun --nodes=2 --ntasks=4 --mpi=pmi2 python mpi_frames.py RAW RESULT
"""

import os
import sys

import frames
import numpy as np
from mpi4py import MPI

world = MPI.COMM_WORLD
stacks = world.bcast(frames.find(sys.argv[1]) if world.rank == 0 else None)
values = []
for path, name, count in stacks:
    mine = np.zeros(count)
    for number in range(world.rank, count, world.size):
        mine[number] = frames.totals(path, name, number, number + 1)[0]
    values.append(world.reduce(mine))
nodes = world.gather(os.environ.get("SLURMD_NODENAME", os.uname().nodename))
if world.rank == 0:
    frames.write(sys.argv[2], stacks, values)
    print(f"{world.size} processes on {', '.join(sorted(set(nodes)))}")
