"""Sessions as jobs of a Slurm cluster; docs/developers/slurm.md follows one."""


def __getattr__(name: str):
    # On demand: launch/ and node/ are parts of this package, and run where nothing of the hub is installed.
    if name != "SlurmBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .backend import SlurmBackend

    return SlurmBackend
