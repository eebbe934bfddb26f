"""The job's GPUs as devices of this node: all that were promised, or no session."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from visa_session.contract import EXIT_GPU_MISSING

from .plan import NotFit, Plan

#: Where Slurm says which of a node's GPUs are the job's: the node's own numbers.
JOB_GPUS = "SLURM_JOB_GPUS"


def devices(plan: Plan, environment: Mapping[str, str]) -> list[str]:
    """The device of each of the job's GPUs; raises NotFit unless they are all there, as many as promised."""
    numbers = [number for number in environment.get(JOB_GPUS, "").split(",") if number]
    node = environment.get("SLURMD_NODENAME") or os.uname().nodename
    if len(numbers) < plan.gpus or not all(number.isdigit() for number in numbers):
        raise NotFit(
            EXIT_GPU_MISSING,
            f"This session was promised {plan.gpus} GPUs; Slurm gave it {len(numbers)} on {node}.",
        )
    found = [plan.gpu_device.format(index=number, node=node) for number in numbers]
    for path in found:
        if not _is_device(path):
            raise NotFit(EXIT_GPU_MISSING, f"The GPU {path} that Slurm gave is not there on {node}.")
    return found


def common(plan: Plan, given: list[str]) -> list[str]:
    """What every session with a GPU gets as well, as far as it is there."""
    return [path for path in plan.gpu_common if given and _is_device(path)]


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False
