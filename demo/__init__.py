"""A small facility on one machine: everything a real one has, made up and started by one command."""
