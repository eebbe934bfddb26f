"""A small facility for trials: accounts, experiments, and data computed from known truths."""
