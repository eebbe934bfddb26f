"""Sessions on a Slurm cluster beside stock batchspawner, on one cluster in one run."""
