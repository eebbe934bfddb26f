"""Profiles: an environment for a kind of work, one YAML file each."""
