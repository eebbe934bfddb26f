"""Slurm's commands on one cluster."""

from __future__ import annotations

import os
import subprocess

from .layout import Cluster


class CommandFailed(RuntimeError):
    """A command of Slurm's said no; the message is its own."""


def run(cluster: Cluster, *command: str, timeout: float = 60, **options) -> str:
    """What a command prints, run as root. Raises CommandFailed, and subprocess.TimeoutExpired."""
    done = subprocess.run(
        command,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **cluster.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # people write anything into their jobs
        timeout=timeout,
        **options,
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout
