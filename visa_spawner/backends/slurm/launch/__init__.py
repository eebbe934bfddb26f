"""The launcher: runs as root, becomes a session's owner, and asks Slurm. Standard library alone, Python 3.9.

`python -m visa_spawner.backends.slurm.programs` makes one file of it. Nothing else of VISA is imported here.
"""
