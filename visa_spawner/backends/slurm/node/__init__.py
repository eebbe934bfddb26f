"""The node program: runs in a session's job, as its owner. Standard library alone, Python 3.9.

`python -m visa_spawner.backends.slurm.programs` makes one file of it.
"""
