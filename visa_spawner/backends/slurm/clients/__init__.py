"""Ways to ask Slurm: its commands, or pyslurm where that is installed and fits."""
