"""Experiments and datasets: what there is, where it lies, who may see it."""
