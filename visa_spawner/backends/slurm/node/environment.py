"""The environment of a session in a job: what the hub said, and of Slurm's what is wanted, by list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from visa_session.contract import EXIT_BAD_INFO, INFO_VARIABLE, TOKEN_STDIN_VARIABLE, SessionInfo

from .plan import NotFit, Plan

#: What of the job's own environment a session gets. For `srun` and `scancel` in it: which job they are in,
#: and how it is laid out. For MPI, and for libraries that start as many threads as there are cores: how many
#: they have. Everything else of Slurm's, and all of the node's, stays out.
WANTED = (
    "SLURM_JOB_ID",
    "SLURM_JOBID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_ACCOUNT",
    "SLURM_JOB_QOS",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_NUM_NODES",
    "SLURM_JOB_CPUS_PER_NODE",
    "SLURM_JOB_GPUS",
    "SLURM_NODELIST",
    "SLURM_NNODES",
    "SLURM_NTASKS",
    "SLURM_NPROCS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_TASKS_PER_NODE",
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE",
    "SLURM_GPUS_ON_NODE",
    "SLURM_MEM_PER_NODE",
    "SLURM_CLUSTER_NAME",
    "SLURM_RESTART_COUNT",
    "SLURMD_NODENAME",
    "SLURM_CONF",
)
#: Inside there are the job's GPUs alone, and each library counts what it finds from 0.
COUNTED = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK")
#: Where the image has its programs; the node's where there is no image.
PATH = "/opt/visa/venv/bin:/usr/local/bin:/usr/bin:/bin"


def compose(plan: Plan, job: Mapping[str, str], gpus: list[str], inside: bool) -> dict[str, str]:
    """All of it; `inside` says whether the session sees the job's GPUs alone. Raises NotFit."""
    made = {name: job[name] for name in WANTED if name in job}
    made.update({"PATH": PATH, **plan.environment})
    made.update(_of_gpus(job, gpus, inside))
    try:
        info = SessionInfo.from_environment(plan.environment)
        prefix = plan.environment["JUPYTERHUB_SERVICE_PREFIX"]
    except (ValueError, KeyError) as error:
        raise NotFit(EXIT_BAD_INFO, f"The plan of this session says too little: {error}.") from error
    info = replace(info, gpus=tuple(gpus), ends=_earlier(info.ends, plan.minutes))
    host = f"[{plan.listen}]" if ":" in plan.listen else plan.listen
    made[INFO_VARIABLE] = info.to_json()
    made["JUPYTERHUB_SERVICE_URL"] = f"http://{host}:0{prefix}"
    made[TOKEN_STDIN_VARIABLE] = "1"
    return made


def _of_gpus(job: Mapping[str, str], gpus: list[str], inside: bool) -> dict[str, str]:
    if not inside:
        return {name: job[name] for name in COUNTED if name in job}
    if not gpus:
        # An image made for GPUs often says "all".
        return {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": ""}
    numbers = ",".join(map(str, range(len(gpus))))
    made = {name: numbers for name in COUNTED if name in job}
    return {**made, "CUDA_VISIBLE_DEVICES": numbers, "NVIDIA_VISIBLE_DEVICES": job["SLURM_JOB_GPUS"]}


def _earlier(ends: str, minutes: int) -> str:
    """The end that comes first: the session's own, or that of the job, which begins now."""
    now = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.9
    mine = now + timedelta(minutes=minutes)
    try:
        own = datetime.fromisoformat(ends)
    except ValueError:
        own = None
    if not minutes:
        return ends
    first = own if own is not None and own.tzinfo is not None and own < mine else mine
    return first.isoformat(timespec="seconds")
