"""Sessions as jobs of a Slurm cluster; docs/developers/slurm.md follows one."""
