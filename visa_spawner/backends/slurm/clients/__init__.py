"""Ways to ask Slurm: its commands, or pyslurm where that is installed and fits."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

from traitlets import TraitError

from .base import SlurmClient, SlurmSilent
from .commands import CommandsClient
from .native import NativeClient, Unfit, probe

if TYPE_CHECKING:
    from ..settings import SlurmSettings

__all__ = ["SlurmClient", "SlurmSilent", "open_client"]

log = logging.getLogger(__name__)


def open_client(settings: SlurmSettings) -> SlurmClient:
    """The client that `SlurmBackend.client` asks for. Asks the controller nothing; blocks for a moment.

    Raises TraitError where Slurm's commands are not there, or pyslurm was asked for and cannot be used.
    """
    commands = CommandsClient(settings.commands_dir, settings.slurm_conf, limit=settings.query_timeout)
    try:
        release = commands.version()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip()
        raise TraitError(
            f"SlurmBackend.commands_dir: {settings.commands_dir}/squeue cannot be used: {said or error}"
        ) from error
    if settings.client == "commands":
        return commands
    try:
        version = probe(settings.slurm_conf, release)
    except Unfit as error:
        if settings.client == "pyslurm":
            raise TraitError(
                f"SlurmBackend.client is `pyslurm`, which cannot be used: {error}. Build it for Slurm"
                f" {release} (docs/operators/slurm.md says how), or set the client to `auto` or `commands`"
            ) from error
        log.info("Slurm is asked by its commands: %s", error)
        return commands
    log.info("Slurm is asked through pyslurm %s", version)
    return NativeClient(commands, settings.slurm_conf, limit=settings.query_timeout, version=version)
